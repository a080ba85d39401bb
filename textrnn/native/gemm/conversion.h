// Rows of float32 in the element that a prepacked product multiplies, of TEXTRNN_ELEMENT bytes, and what becomes of its
// sums. Files that are compiled for one AVX-512 instruction set include it: nothing here has external linkage.
//
// In int8 a column of b is rounded to multiples of its largest entry / 127, and so is each row of x; the sum of
// products of integers is exact, and is scaled by both. The instruction takes one factor unsigned, so 128 is added to
// those of x; sums begin at GemmPrepackedArgs::first, which takes the excess off again.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "compiler.h"
#include "gemm/gemm.h"
#include "gemm/microkernel.h"
#include "nn/float_types.h"

namespace textrnn {
namespace {

#if TEXTRNN_ELEMENT == 1

using Element = int8_t;
using Sum = Integers;

constexpr uint32_t kInfinity = 0x7f800000;  // NaN is above it
constexpr float kLeast = 0x1p-120f;         // 127 over it is finite; rows below it count as zeros

// Writes the integers of a row and returns the value of 1 in it, NaN if the row is not finite.
INLINE float convert(const float* x, int64_t K, char* to) {
  __m512i highest = _mm512_setzero_si512();  // magnitudes are in the order of their bits
  for (int64_t k = 0; k < K; k += 16) {
    const __m512i bits = _mm512_maskz_loadu_epi32(first(K - k), x + k);
    highest = _mm512_max_epu32(highest, _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)));
  }
  const uint32_t bits = _mm512_reduce_max_epu32(highest);
  const float largest = float_of(bits);
  const __m512 factor = _mm512_set1_ps(bits < kInfinity && largest >= kLeast ? 127.0f / largest : 0.0f);
  for (int64_t k = 0; k < (K + 63) / 64 * 64; k += 16) {  // whole vectors
    const __m512 part = _mm512_maskz_loadu_ps(first(K - k), x + k);
    const __m128i rounded = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(part, factor)));
    _mm_store_si128(reinterpret_cast<__m128i*>(to + k), _mm_xor_si128(rounded, _mm_set1_epi8(-128)));  // + 128
  }
  return bits < kInfinity ? largest / 127.0f : float_of(kInfinity + 1);
}

INLINE Sum begin(const GemmPrepackedArgs& p, int64_t column) { return (Sum)_mm512_loadu_si512(p.first + column); }
INLINE __m512 end(const GemmPrepackedArgs& p, int64_t column, float scale, Sum sum) {
  // the row's scale last: weights are moderate, so that the intermediate overflows only if the result does
  const __m512 of_column = _mm512_mul_ps(_mm512_cvtepi32_ps((__m512i)sum), _mm512_loadu_ps(p.scales + column));
  return _mm512_mul_ps(of_column, _mm512_set1_ps(scale));
}

#else

using Sum = __m512;

INLINE Sum begin(const GemmPrepackedArgs&, int64_t) { return _mm512_setzero_ps(); }
INLINE __m512 end(const GemmPrepackedArgs&, int64_t, float, Sum sum) { return sum; }

#if TEXTRNN_ELEMENT == 2

using Element = BFloat16;

INLINE float convert(const float* x, int64_t K, char* to) {
  for (int64_t k = 0; k < K; k += 32) {
    const __m512 low = _mm512_maskz_loadu_ps(first(K - k), x + k);
    const __m512 high = _mm512_maskz_loadu_ps(first(K - k - 16), x + smaller(k + 16, K));
    _mm512_store_si512(to + 2 * k, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
  return 1;
}

#else

using Element = float;

#endif
#endif

}  // namespace
}  // namespace textrnn
