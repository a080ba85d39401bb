// Products of matrices with AVX-512, after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication",
// ACM TOMS 34(3), 2008: b is copied to panels that the second-level cache holds, and a tile of c stays in registers
// while a strip of a meets a panel. An entry of c is one sum over K, in chunks of fixed length, in the order of K: it
// depends neither on the other rows and columns nor on the division among threads. This file is compiled once for each
// instruction set, named by TEXTRNN_LEVEL, with bfloat16 if TEXTRNN_ELEMENT is 2, and uses nothing of the standard
// library.
#include "gemm/gemm.h"

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "compiler.h"
#include "nn/float_types.h"
#include "gemm/microkernel.h"
#include "gemm/transpose.h"

namespace textrnn {
namespace {

INLINE __m512 load(const float* at, __mmask16 which) { return _mm512_maskz_loadu_ps(which, at); }
INLINE void store(float* at, __mmask16 which, __m512 value) { _mm512_mask_storeu_ps(at, which, value); }
INLINE __m512i load_halves(const BFloat16* at, __mmask16 which) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(which, at));
}
#if TEXTRNN_ELEMENT == 2
INLINE __m512 load(const BFloat16* at, __mmask16 which) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(load_halves(at, which), 16));
}
INLINE void store(BFloat16* at, __mmask16 which, __m512 value) {
  _mm256_mask_storeu_epi16(at, which, (__m256i)_mm512_cvtneps_pbh(value));
}
#endif

template <class T, class C, int R>
INLINE void multiply_tile(int64_t steps, Strip a, Panel b, C* c, int64_t c_row, int64_t width, bool add) {
  __m512 sums[R][2];
  UNROLL
  for (int r = 0; r < R; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  add_steps<T>(steps, a, b, sums);
  const __mmask16 in_left = first(width), in_right = first(width - kHalf);
  UNROLL
  for (int r = 0; r < R; ++r) {
    C* row = c + r * c_row;
    if (add) {
      sums[r][0] = _mm512_add_ps(sums[r][0], load(row, in_left));
      sums[r][1] = _mm512_add_ps(sums[r][1], load(row + kHalf, in_right));
    }
    store(row, in_left, sums[r][0]);
    store(row + kHalf, in_right, sums[r][1]);
  }
}

// All rows of a strip, in tiles of R rows, then in smaller ones.
template <class T, class C, int R>
void multiply_strip(int64_t rows, int64_t steps, Strip a, Panel b, C* c, int64_t c_row, int64_t width, bool add) {
  if (rows >= R) {
    multiply_tile<T, C, R>(steps, a, b, c, c_row, width, add);
    rows -= R, a.at += R * a.row, c += R * c_row;
  }
  if constexpr (R > 1)
    if (rows > 0) multiply_strip<T, C, (R > 8 ? 8 : R / 2)>(rows, steps, a, b, c, c_row, width, add);
}

// A block of a matrix; K is its size along the sum.
template <class T>
struct Corner {
  const T* at;
  int64_t along, across;  // strides: along the sum, and from row to row of a or column to column of b
  int64_t K;

  // The unit of a step, with zeros past the end of the sum.
  uint32_t pick(int64_t step, int64_t i) const {
    uint32_t bits = 0;
    for (int64_t d = 0; d < kDepth<T>; ++d)
      if (step * kDepth<T> + d < K) {
        T value = at[(step * kDepth<T> + d) * along + i * across];
        std::memcpy(reinterpret_cast<char*>(&bits) + d * int64_t(sizeof(T)), &value, sizeof(T));
      }
    return bits;
  }
};

// The units of a step, for the neighbors across that `which` selects.
INLINE __m512i pick_across(const Corner<float>& from, int64_t step, int64_t i, __mmask16 which) {
  return _mm512_maskz_loadu_epi32(which, from.at + step * from.along + i);
}
INLINE __m512i pick_across(const Corner<BFloat16>& from, int64_t step, int64_t i, __mmask16 which) {
  const BFloat16* at = from.at + 2 * step * from.along + i;
  const __m512i even = load_halves(at, which);
  const __m512i odd = load_halves(at + from.along, 2 * step + 1 < from.K ? which : __mmask16(0));
  return _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
}

INLINE void put(char* to, uint32_t bits) { std::memcpy(to, &bits, sizeof bits); }

// Half a panel: the units of each step of `count` neighbors across, 16 at most, kStepBytes apart. The other columns are
// written too, since a NaN there would be multiplied.
template <class T>
void pack_half(const Corner<T>& from, int64_t count, int64_t steps, char* to) {
  if (from.across == 1) {
    for (int64_t s = 0; s < steps; ++s) _mm512_store_si512(to + s * kStepBytes, pick_across(from, s, 0, first(count)));
    return;
  }
  int64_t s = 0;
  if (from.along == 1 && count == kHalf)
    for (; (s + 16) * kDepth<T> <= from.K; s += 16)
      transpose(reinterpret_cast<const char*>(from.at + s * kDepth<T>), from.across * int64_t(sizeof(T)),
                to + s * kStepBytes, kStepBytes);
  for (; s < steps; ++s)
    for (int64_t i = 0; i < kHalf; ++i) put(to + s * kStepBytes + 4 * i, i < count ? from.pick(s, i) : 0);
}

template <class T>
Strip pack_strip(const Corner<T>& from, int64_t rows, int64_t steps, char* to) {
  for (int64_t s = 0; s < steps; ++s)
    if (from.across == 1)
      _mm512_storeu_si512(to + s * kTileRows * 4, pick_across(from, s, 0, first(rows)));  // the next step overlaps
    else
      for (int64_t r = 0; r < rows; ++r) put(to + (s * kTileRows + r) * 4, from.pick(s, r));
  return {to, 4, kTileRows * 4};
}

template <class T, class C>
void multiply(const GemmArgs& p, const Part& part, char* scratch) {
  const int64_t width = part.last_column - part.column;
  char* const strip = scratch + (width + kTileColumns - 1) / kTileColumns * kStepBytes * part.chunk;
  const T *a = static_cast<const T*>(p.a), *b = static_cast<const T*>(p.b);
  C* const c = static_cast<C*>(p.c);
  // few rows would not repay the packing
  const bool direct = kDepth<T> == 1 && p.b_column == 1 && p.M <= 2 * kTileRows;
  for (int64_t k = 0; k < p.K || k == 0; k += part.chunk * kDepth<T>) {
    const int64_t K = smaller(part.chunk * kDepth<T>, p.K - k), steps = (K + kDepth<T> - 1) / kDepth<T>;
    const bool add = p.accumulate || k > 0;
    const auto panel_at = [&](int64_t j) { return scratch + j * steps * (kStepBytes / kTileColumns); };
    for (int64_t j = 0; j < width; j += kHalf) {
      if (direct && j / kTileColumns * kTileColumns + kTileColumns <= width) continue;
      const Corner<T> from = {b + k * p.b_row + (part.column + j) * p.b_column, p.b_row, p.b_column, K};
      pack_half(from, smaller(kHalf, width - j), steps, panel_at(j / kTileColumns * kTileColumns) + j / kHalf % 2 * 64);
    }
    for (int64_t i = part.row; i < part.last_row; i += kTileRows) {
      const int64_t rows = smaller(kTileRows, part.last_row - i);
      const Corner<T> from = {a + i * p.a_row + k * p.a_column, p.a_column, p.a_row, K};
      const int64_t bytes = int64_t(sizeof(T));
      const Strip lined_up = p.a_column == 1 && K % kDepth<T> == 0
                                 ? Strip{reinterpret_cast<const char*>(from.at), p.a_row * bytes, 4}
                                 : pack_strip(from, rows, steps, strip);
      for (int64_t j = 0; j < width; j += kTileColumns) {
        const bool packed = !direct || width - j < kTileColumns;
        const char* in_place = reinterpret_cast<const char*>(b + k * p.b_row + part.column + j);
        const Panel panel = packed ? Panel{panel_at(j), kStepBytes} : Panel{in_place, p.b_row * bytes};
        multiply_strip<T, C, int(kTileRows)>(rows, steps, lined_up, panel, c + i * p.c_row + part.column + j, p.c_row,
                                             width - j, add);
      }
    }
  }
}

void of_float(const GemmArgs& p, const Part& part, char* scratch) { multiply<float, float>(p, part, scratch); }

void pack_panel(const float* b, int64_t K, int64_t N, int64_t b_row, int64_t b_column, char* to) {
  for (int64_t half = 0; half < 2; ++half)
    pack_half<float>({b + half * kHalf * b_column, b_row, b_column, K}, smaller(kHalf, N - half * kHalf), K, to + half * 64);
}

#if TEXTRNN_ELEMENT == 2
void of_bfloat16(const GemmArgs& p, const Part& part, char* scratch) {
  p.c_element == 4 ? multiply<BFloat16, float>(p, part, scratch) : multiply<BFloat16, BFloat16>(p, part, scratch);
}
#else
constexpr void (*of_bfloat16)(const GemmArgs&, const Part&, char*) = nullptr;
#endif

}  // namespace

extern const GemmKernels TEXTRNN_SYMBOL(gemm_, TEXTRNN_LEVEL);
const GemmKernels TEXTRNN_SYMBOL(gemm_, TEXTRNN_LEVEL) = {of_float, of_bfloat16, pack_panel};

}  // namespace textrnn
