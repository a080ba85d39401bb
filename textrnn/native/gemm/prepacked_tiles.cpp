// Products of float32 rows with a prepacked matrix by AMX, whose registers are tiles of 16 rows of 64 bytes (Intel,
// "Architecture Instruction Set Extensions Programming Reference", chapter 3), in the layout of gemm_prepacked.cpp. This
// file is compiled once for each element, of TEXTRNN_ELEMENT bytes, and uses nothing of the standard library.
#include <immintrin.h>

#include <cstdint>

#include "compiler.h"
#include "gemm/conversion.h"
#include "gemm/gemm.h"

namespace textrnn {
namespace {

constexpr int64_t kTile = 16;  // rows, and units of 4 bytes in a row
constexpr int64_t kBlockRows = 2 * kTile;

struct alignas(64) TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {kTile, kTile, kTile, kTile, kTile, kTile, kTile, kTile};
};

// A macro, since the number of a tile is part of the instruction.
#if TEXTRNN_ELEMENT == 2
#define MULTIPLY_ADD(c, a, b) _tile_dpbf16ps(c, a, b)
#else
#define MULTIPLY_ADD(c, a, b) _tile_dpbusd(c, a, b)  // a is unsigned
#endif

// Writes to `sums` the products of 2 * kTile rows, or kTile without `both`, and a panel.
INLINE void multiply_panel(int64_t steps, const char* rows, int64_t row_bytes, const char* panel, bool both,
                           float (*sums)[kTileColumns]) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t s = 0; s < steps; s += kTile) {
    _tile_loadd(6, panel + s * kStepBytes, kStepBytes);
    _tile_loadd(4, rows + s * 4, row_bytes);
    MULTIPLY_ADD(0, 4, 6);
    _tile_loadd(7, panel + s * kStepBytes + 64, kStepBytes);
    MULTIPLY_ADD(1, 4, 7);
    if (!both) continue;
    _tile_loadd(5, rows + kTile * row_bytes + s * 4, row_bytes);
    MULTIPLY_ADD(2, 5, 6);
    MULTIPLY_ADD(3, 5, 7);
  }
  constexpr int64_t kSumBytes = sizeof *sums;
  _tile_stored(0, sums[0], kSumBytes);
  _tile_stored(1, sums[0] + kTile, kSumBytes);
  if (!both) return;
  _tile_stored(2, sums[kTile], kSumBytes);
  _tile_stored(3, sums[kTile] + kTile, kSumBytes);
}

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
