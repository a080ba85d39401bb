// A square of 4-byte units, transposed in registers. Files that are compiled for one AVX-512 instruction set include it:
// nothing here has external linkage.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "compiler.h"

namespace textrnn {
namespace {

// 16 units, adjacent along the sum, of each of 16 neighbors across: one vector a step.
INLINE void transpose(const char* from, int64_t across, char* to, int64_t step) {
  __m512i x[16], y[16];
  UNROLL
  for (int i = 0; i < 16; ++i) x[i] = _mm512_loadu_si512(from + i * across);
  UNROLL
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  UNROLL
  for (int i = 0; i < 16; i += 4) {
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  UNROLL
  for (int i = 0; i < 4; ++i) {  // a quarter of x[i], x[i + 4], x[i + 8], x[i + 12] each: steps i, i + 4, i + 8, i + 12
    const __m512i a = _mm512_shuffle_i32x4(x[i], x[i + 4], 0x88), b = _mm512_shuffle_i32x4(x[i], x[i + 4], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0x88);
    const __m512i d = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0xdd);
    _mm512_storeu_si512(to + i * step, _mm512_shuffle_i32x4(a, c, 0x88));
    _mm512_storeu_si512(to + (i + 4) * step, _mm512_shuffle_i32x4(b, d, 0x88));
    _mm512_storeu_si512(to + (i + 8) * step, _mm512_shuffle_i32x4(a, c, 0xdd));
    _mm512_storeu_si512(to + (i + 12) * step, _mm512_shuffle_i32x4(b, d, 0xdd));
  }
}

}  // namespace
}  // namespace textrnn
