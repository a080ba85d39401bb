// Products of float32 rows with a prepacked matrix by AMX, in the layout of gemm_prepacked.cpp. This file is compiled
// once for each element, of TEXTRNN_ELEMENT bytes, and uses nothing of the standard library.
#include <immintrin.h>

#include <cstdint>

#include "compiler.h"
#include "gemm/conversion.h"
#include "gemm/gemm.h"
#include "gemm/tiles.h"

namespace textrnn {
namespace {

INLINE __m512 finish(const GemmPrepackedArgs& p, int64_t column, float scale, const float* sums) {
#if TEXTRNN_ELEMENT == 1
  return end(p, column, scale, begin(p, column) + (Sum)_mm512_load_si512(sums));
#else
  return end(p, column, scale, _mm512_load_ps(sums));
#endif
}

// The rows of c that begin at `row`, from converted ones, `bytes` each; what follows `count` of them may be anything.
void multiply_rows(const GemmPrepackedArgs& p, const char* rows, int64_t bytes, const float* scales, int64_t row,
                   int64_t count) {
  alignas(64) float sums[kBlockRows][kTileColumns];
  const int64_t steps = prepacked_steps(p);
  for (int64_t column = 0; column < p.N; column += kTileColumns) {
    const char* const panel = p.panels + column / kTileColumns * steps * kStepBytes;
    multiply_panel(steps, rows, bytes, panel, count > kTile, sums);
    const __mmask16 in_left = first(p.N - column), in_right = first(p.N - column - kHalf);
    for (int64_t r = 0; r < count; ++r) {
      float* const c = p.c + (row + r) * p.N + column;
      _mm512_mask_storeu_ps(c, in_left, finish(p, column, scales[r], sums[r]));
      _mm512_mask_storeu_ps(c + kHalf, in_right, finish(p, column + kHalf, scales[r], sums[r] + kHalf));
    }
  }
}

void multiply(const GemmPrepackedArgs& p, int64_t row, int64_t last_row, char* scratch) {
  static const TileConfig config;
  const int64_t bytes = prepacked_row_bytes(p), count = last_row - row;
  float* const scales = reinterpret_cast<float*>(scratch + kPrepackedRows * bytes);
  for (int64_t i = 0; i < count; ++i) scales[i] = convert(p.x + (row + i) * p.K, p.K, scratch + i * bytes);
  _tile_loadconfig(&config);
  for (int64_t i = 0; i < count; i += kBlockRows)
    multiply_rows(p, scratch + i * bytes, bytes, scales + i, row + i, smaller(kBlockRows, count - i));
  _tile_release();
}

}  // namespace

extern MultiplyPrepacked* const TEXTRNN_SYMBOL(prepacked_, TEXTRNN_LEVEL);
MultiplyPrepacked* const TEXTRNN_SYMBOL(prepacked_, TEXTRNN_LEVEL) = multiply;

}  // namespace textrnn
