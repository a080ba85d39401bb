// Products of float32 rows with a prepacked matrix in float32, bfloat16 or int8. Rows are converted in blocks, then a
// strip of them meets the panels that the cache holds, as in gemm_panels.cpp. An entry of c is one sum in the order of
// K: it depends neither on the other rows and columns nor on the division among threads. This file is compiled once for
// each element, of TEXTRNN_ELEMENT bytes, with the instructions that multiply it, and uses nothing of the standard
// library.
#include <immintrin.h>

#include <cstdint>

#include "compiler.h"
#include "nn/float_types.h"
#include "gemm/conversion.h"
#include "gemm/gemm.h"
#include "gemm/microkernel.h"

namespace textrnn {
namespace {

static_assert(sizeof(Element) == TEXTRNN_ELEMENT);

struct Rows {
  Strip at;
  const float* scales;

  Rows from(int64_t row) const { return {{at.at + row * at.row, at.row, at.step}, scales ? scales + row : nullptr}; }
};

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
