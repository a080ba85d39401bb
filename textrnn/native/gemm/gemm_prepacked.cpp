// Products of float32 rows with a prepacked matrix in float32, bfloat16 or int8. Rows are converted in blocks, then a
// strip of them meets the panels that the cache holds, as in gemm_panels.cpp. An entry of c is one sum in the order of
// K: it depends neither on the other rows and columns nor on the division among threads. This file is compiled once for
// each element, of TEXTRNN_ELEMENT bytes, with the instructions that multiply it, and uses nothing of the standard
// library.
//
// In int8 a column of b is rounded to multiples of its largest entry / 127, and so is each row of x; the sum of
// products of integers is exact, and is scaled by both. The instruction takes one factor unsigned, so 128 is added to
// those of x; sums begin at GemmPrepackedArgs::first, which takes the excess off again.
#include <immintrin.h>

#include <cstdint>

#include "compiler.h"
#include "nn/float_types.h"
#include "gemm/gemm.h"
#include "gemm/microkernel.h"

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
  for (int64_t k = 0; k < K; k += 16) {
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

static_assert(sizeof(Element) == TEXTRNN_ELEMENT);

struct Rows {
  Strip at;
  const float* scales;

  Rows from(int64_t row) const { return {{at.at + row * at.row, at.row, at.step}, scales ? scales + row : nullptr}; }
};

#if defined(TEXTRNN_AMX)

constexpr int64_t kTile = 16;  // rows and units of a tile

struct alignas(64) TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {kTile, kTile, kTile, kTile, kTile, kTile, kTile, kTile};
};

// A macro, since the number of a tile is part of the instruction.
#if TEXTRNN_ELEMENT == 2
#define MULTIPLY_ADD(c, a, b) _tile_dpbf16ps(c, a, b)
#else
#define MULTIPLY_ADD(c, x, b) _tile_dpbusd(c, x, b)  // x is unsigned
#endif

// Writes to `sums` the products of 2 * kTile rows, or kTile without `both`, and a panel.
INLINE void multiply_panel(int64_t steps, const char* rows, int64_t row_bytes, const char* panel, bool both,
                           float (*sums)[kTileColumns]) {
  constexpr int64_t kSumBytes = kTileColumns * sizeof(float);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t s = 0; s < steps; s += kTile) {
    _tile_loadd(4, rows + s * 4, row_bytes);
    _tile_loadd(6, panel + s * kStepBytes, kStepBytes);
    _tile_loadd(7, panel + s * kStepBytes + 64, kStepBytes);
    MULTIPLY_ADD(0, 4, 6);
    MULTIPLY_ADD(1, 4, 7);
    if (!both) continue;
    _tile_loadd(5, rows + kTile * row_bytes + s * 4, row_bytes);
    MULTIPLY_ADD(2, 5, 6);
    MULTIPLY_ADD(3, 5, 7);
  }
  _tile_stored(0, sums[0], kSumBytes);
  _tile_stored(1, sums[0] + kHalf, kSumBytes);
  if (!both) return;
  _tile_stored(2, sums[kTile], kSumBytes);
  _tile_stored(3, sums[kTile] + kHalf, kSumBytes);
}

INLINE Sum load_sum(const GemmPrepackedArgs& p, int64_t column, const float* at) {
#if TEXTRNN_ELEMENT == 1
  return begin(p, column) + (Sum)_mm512_load_si512(at);
#else
  return _mm512_load_ps(at);
#endif
}

// The rows of c that begin at `row`, from converted rows; those past `count` are not written, and may hold anything.
void multiply_rows(const GemmPrepackedArgs& p, int64_t steps, Rows rows, int64_t row, int64_t count) {
  alignas(64) float sums[2 * kTile][kTileColumns];
  for (int64_t column = 0; column < p.N; column += kTileColumns) {
    multiply_panel(steps, rows.at.at, rows.at.row, p.panels + column * steps * (kStepBytes / kTileColumns),
                   count > kTile, sums);
    const __mmask16 in_left = first(p.N - column), in_right = first(p.N - column - kHalf);
    for (int64_t r = 0; r < count; ++r) {
      float* const c = p.c + (row + r) * p.N + column;
      _mm512_mask_storeu_ps(c, in_left, end(p, column, rows.scales[r], load_sum(p, column, sums[r])));
      _mm512_mask_storeu_ps(c + kHalf, in_right,
                            end(p, column + kHalf, rows.scales[r], load_sum(p, column + kHalf, sums[r] + kHalf)));
    }
  }
}

void multiply_all(const GemmPrepackedArgs& p, int64_t row, int64_t count, Rows rows) {
  static const TileConfig config;
  _tile_loadconfig(&config);
  for (int64_t i = 0; i < count; i += 2 * kTile)
    multiply_rows(p, prepacked_steps(p), rows.from(i), row + i, smaller(2 * kTile, count - i));
  _tile_release();
}

#else

template <int R>
INLINE void multiply_tile(const GemmPrepackedArgs& p, int64_t steps, Rows rows, int64_t column, float* c) {
  Sum sums[R][2];
  UNROLL
  for (int r = 0; r < R; ++r) sums[r][0] = begin(p, column), sums[r][1] = begin(p, column + kHalf);
  UNROLL
  for (int r = 0; r < R; ++r) {  // fetches a large c while its sums are computed
    _mm_prefetch(reinterpret_cast<const char*>(c + r * p.N + column), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(c + r * p.N + column + kHalf), _MM_HINT_T0);
  }
  add_steps<Element>(steps, rows.at, {p.panels + column / kTileColumns * steps * kStepBytes, kStepBytes}, sums);
  const __mmask16 in_left = first(p.N - column), in_right = first(p.N - column - kHalf);
  UNROLL
  for (int r = 0; r < R; ++r) {
    const float scale = rows.scales ? rows.scales[r] : 1;
    _mm512_mask_storeu_ps(c + r * p.N + column, in_left, end(p, column, scale, sums[r][0]));
    _mm512_mask_storeu_ps(c + r * p.N + column + kHalf, in_right, end(p, column + kHalf, scale, sums[r][1]));
  }
}

// A strip of `count` rows, R at most: a tile of each size, since a short text fills only a strip or two.
template <int R>
void multiply_strip(const GemmPrepackedArgs& p, int64_t steps, Rows rows, int64_t count, int64_t column, float* c) {
  if (count == R) return multiply_tile<R>(p, steps, rows, column, c);
  if constexpr (R > 1) multiply_strip<R - 1>(p, steps, rows, count, column, c);
}

void multiply_all(const GemmPrepackedArgs& p, int64_t row, int64_t count, Rows rows) {
  const int64_t steps = prepacked_steps(p);
  const int64_t strips = (count + kTileRows - 1) / kTileRows, height = (count + strips - 1) / strips;  // similar sizes
  const int64_t width = (kCache / (steps * kStepBytes + 1) + 1) * kTileColumns;
  for (int64_t from = 0; from < p.N; from += width)
    for (int64_t i = 0; i < count; i += height)
      for (int64_t column = from; column < smaller(from + width, p.N); column += kTileColumns)
        multiply_strip<int(kTileRows)>(p, steps, rows.from(i), smaller(height, count - i), column, p.c + (row + i) * p.N);
}

#endif

void multiply(const GemmPrepackedArgs& p, int64_t row, int64_t last_row, [[maybe_unused]] char* scratch) {
  const int64_t count = last_row - row;
#if TEXTRNN_ELEMENT < 4
  const int64_t bytes = prepacked_row_bytes(p);
  float* const scales = reinterpret_cast<float*>(scratch + kPrepackedRows * bytes);
  for (int64_t i = 0; i < count; ++i) scales[i] = convert(p.x + (row + i) * p.K, p.K, scratch + i * bytes);
  multiply_all(p, row, count, {{scratch, bytes, 4}, scales});
#else
  multiply_all(p, row, count, {{reinterpret_cast<const char*>(p.x + row * p.K), p.K * 4, 4}, nullptr});
#endif
}

}  // namespace

extern MultiplyPrepacked* const TEXTRNN_SYMBOL(prepacked_, TEXTRNN_LEVEL);
MultiplyPrepacked* const TEXTRNN_SYMBOL(prepacked_, TEXTRNN_LEVEL) = multiply;

}  // namespace textrnn
