// Products of float32 matrices that are rounded to bfloat16, by AMX. Both factors are converted into scratch: panels of
// b, which the second-level cache holds, and 32 rows of a at a time. An entry of c is one sum, in chunks of fixed length
// in the order of K: it depends neither on the other rows and columns nor on the division among threads. This file uses
// nothing of the standard library.
#include <immintrin.h>

#include <cstdint>

#include "compiler.h"
#include "gemm/gemm.h"
#include "gemm/microkernel.h"
#include "gemm/tiles.h"
#include "gemm/transpose.h"

namespace textrnn {
namespace {

constexpr int64_t kAlong = 2 * kTile;  // numbers along the sum in a row of a tile

// A block of a matrix: rows of a or columns of b, as lines of K numbers. Strides: along a line, and between lines; one of
// them is 1.
struct Lines {
  const float* at;
  int64_t along, across, K, count;
};

INLINE __m512i round_16(__m512 x) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x)); }

// 16 units: those of line i from number k on, or those of the two numbers from k on of 16 lines from i on.
INLINE __m512i units_of_line(const Lines& from, int64_t i, int64_t k) {
  if (i >= from.count) return _mm512_setzero_si512();
  const float* const at = from.at + i * from.across + k;
  const __m512 low = _mm512_maskz_loadu_ps(first(from.K - k), at);
  const __m512 high = _mm512_maskz_loadu_ps(first(from.K - k - kTile), at + kTile);
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}
INLINE __m512i units_of_lines(const Lines& from, int64_t i, int64_t k) {
  const __mmask16 lines = first(from.count - i);
  const float* const at = from.at + k * from.along + i;
  const __m512 even = _mm512_maskz_loadu_ps(k < from.K ? lines : __mmask16(0), at);
  const __m512 odd = _mm512_maskz_loadu_ps(k + 1 < from.K ? lines : __mmask16(0), at + from.along);
  return _mm512_or_si512(round_16(even), _mm512_slli_epi32(round_16(odd), 16));
}

// Writes a tile of 16 lines from i on and 32 numbers from k on; its rows are `row_bytes` apart, and are lines, or units
// of all lines if `by_unit`.
INLINE void pack_tile(const Lines& from, int64_t i, int64_t k, bool by_unit, char* to, int64_t row_bytes) {
  alignas(64) char tile[kTile * 64];
  const bool is_by_unit = from.along != 1;
  char* const at = is_by_unit == by_unit ? to : tile;
  const int64_t step = is_by_unit == by_unit ? row_bytes : 64;
  for (int64_t r = 0; r < kTile; ++r)
    _mm512_store_si512(at + r * step, is_by_unit ? units_of_lines(from, i, k + 2 * r) : units_of_line(from, i + r, k));
  if (at == tile) transpose(tile, 64, to, row_bytes);
}

INLINE int64_t divide_up(int64_t x, int64_t by) { return (x + by - 1) / by; }

void pack_panel(const float* b, int64_t K, int64_t N, int64_t b_row, int64_t b_column, char* to) {
  const Lines columns = {b, b_row, b_column, K, N};
  for (int64_t half = 0; half < 2; ++half)
    for (int64_t k = 0; k < K; k += kAlong)
      pack_tile(columns, half * kTile, k, true, to + k / 2 * kStepBytes + half * 64, kStepBytes);
}

void multiply(const GemmArgs& p, const Part& part, char* scratch) {
  alignas(64) float sums[kBlockRows][kTileColumns];
  static const TileConfig config;
  const float *a = static_cast<const float*>(p.a), *b = static_cast<const float*>(p.b);
  const int64_t columns = part.last_column - part.column;
  const int64_t row_bytes = divide_up(part.chunk, kTile) * 64, panel_bytes = row_bytes / 4 * kStepBytes;
  char* const rows = scratch + divide_up(columns, kTileColumns) * panel_bytes;
  _tile_loadconfig(&config);
  for (int64_t k = 0; k < p.K || k == 0; k += 2 * part.chunk) {
    const int64_t K = smaller(2 * part.chunk, p.K - k), steps = divide_up(K, kAlong) * kTile;
    for (int64_t j = 0; j < columns; j += kTileColumns)
      pack_panel(b + k * p.b_row + (part.column + j) * p.b_column, K, columns - j, p.b_row, p.b_column,
                 scratch + j / kTileColumns * panel_bytes);
    for (int64_t i = part.row; i < part.last_row; i += kBlockRows) {
      const int64_t count = smaller(kBlockRows, part.last_row - i);
      const Lines lines = {a + i * p.a_row + k * p.a_column, p.a_column, p.a_row, K, count};
      for (int64_t half = 0; half * kTile < count; ++half)
        for (int64_t at = 0; at < K; at += kAlong)
          pack_tile(lines, half * kTile, at, false, rows + half * kTile * row_bytes + at * 2, row_bytes);
      for (int64_t j = 0; j < columns; j += kTileColumns) {
        multiply_panel(steps, rows, row_bytes, scratch + j / kTileColumns * panel_bytes, count > kTile, sums);
        for (int64_t r = 0; r < count; ++r)
          for (int64_t half = 0; half < 2; ++half) {
            const __mmask16 which = first(columns - j - half * kTile);
            float* const c = static_cast<float*>(p.c) + (i + r) * p.c_row + part.column + j + half * kTile;
            const __m512 sum = _mm512_load_ps(sums[r] + half * kTile);
            const bool add = p.accumulate || k > 0;
            _mm512_mask_storeu_ps(c, which, add ? _mm512_add_ps(_mm512_maskz_loadu_ps(which, c), sum) : sum);
          }
      }
    }
  }
  _tile_release();
}

}  // namespace

extern const RoundedGemm rounded_gemm_amx;
const RoundedGemm rounded_gemm_amx = {multiply, pack_panel};

}  // namespace textrnn
