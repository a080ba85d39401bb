// Blocks of products by AMX, whose registers are tiles of 16 rows of 64 bytes (Intel, "Architecture Instruction Set
// Extensions Programming Reference", chapter 3). Files that are compiled for AMX and one element, of TEXTRNN_ELEMENT
// bytes, include it: nothing here has external linkage.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "compiler.h"
#include "gemm/gemm.h"

namespace textrnn {
namespace {

constexpr int64_t kTile = 16;  // rows, and units of 4 bytes in a row
constexpr int64_t kBlockRows = 2 * kTile;
static_assert(kBlockRows == kRoundedRows);

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

// Writes to `sums` the products of 2 * kTile rows of units, `row_bytes` apart, or kTile without `both`, and a panel.
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

}  // namespace
}  // namespace textrnn
