// A tile of a product in registers, for gemm_panels.cpp and gemm_prepacked.cpp. Files that are compiled for one AVX-512
// instruction set include it: nothing here has external linkage.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "compiler.h"
#include "nn/float_types.h"
#include "gemm/gemm.h"

namespace textrnn {
namespace {

constexpr int64_t kHalf = kTileColumns / 2;

// A step multiplies kDepth elements of K at once: a unit of 4 bytes is one float, two bfloat16 or four int8.
template <class T>
constexpr int64_t kDepth = 4 / int64_t(sizeof(T));

INLINE int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }
INLINE __mmask16 first(int64_t count) { return count >= 16 ? 0xffff : count <= 0 ? 0 : __mmask16((1u << count) - 1); }

INLINE __m512i unit(const char* at) {
  int32_t value;
  std::memcpy(&value, at, sizeof value);
  return _mm512_set1_epi32(value);
}

INLINE __m512 multiply_add(float, __m512i a, __m512i b, __m512 sum) {
  return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
}
#if defined(__AVX512BF16__)
INLINE __m512 multiply_add(BFloat16, __m512i a, __m512i b, __m512 sum) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
#endif
#if defined(__AVX512VNNI__)
// Sums of 32 bits. Not __m512i: GCC leaves an array of these in memory.
using Integers = int32_t __attribute__((vector_size(64)));

// a is unsigned
INLINE Integers multiply_add(int8_t, __m512i a, __m512i b, Integers sum) {
  return (Integers)_mm512_dpbusd_epi32((__m512i)sum, a, b);
}
#endif

// The units of a strip of a and of a panel of b; strides in bytes.
struct Strip {
  const char* at;
  int64_t row, step;
};
struct Panel {
  const char* at;
  int64_t step;
};

// Adds the products of R rows and kTileColumns columns to `sums`.
template <class T, class Sum, int R>
INLINE void add_steps(int64_t steps, Strip a, Panel b, Sum (&sums)[R][2]) {
  for (int64_t s = 0; s < steps; ++s) {
    const __m512i left = _mm512_loadu_si512(b.at), right = _mm512_loadu_si512(b.at + 64);
    UNROLL
    for (int r = 0; r < R; ++r) {
      const __m512i factor = unit(a.at + r * a.row);
      sums[r][0] = multiply_add(T(), factor, left, sums[r][0]);
      sums[r][1] = multiply_add(T(), factor, right, sums[r][1]);
    }
    a.at += a.step;
    b.at += b.step;
  }
}

}  // namespace
}  // namespace textrnn
