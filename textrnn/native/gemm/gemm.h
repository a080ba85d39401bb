// A product of two matrices, in parts that different threads may compute.
#pragma once

#include <cstdint>

namespace textrnn {

constexpr int64_t kTileRows = 14;     // of c at once: 28 vectors of sums, two of b and one of a fill the 32 registers
constexpr int64_t kTileColumns = 32;  // two vectors
constexpr int64_t kStepBytes = 128;   // of a packed panel of b: a step of the sum for kTileColumns columns
constexpr int64_t kCache = 576 * 1024;  // bytes of b's panels: in the second-level cache of AVX-512 processors

// c (M, N) = a (M, K) b (K, N), added to c where `accumulate` is not 0. The layout is repeated in cpu.py; raise
// kInterface when it changes. Strides count elements; the columns of c are adjacent.
struct Product {
  int64_t M, N, K;
  const void* a;
  int64_t a_row, a_column;
  const void* b;
  int64_t b_row, b_column;
  void* c;
  int64_t c_row;
  int64_t element;    // of a and b. 4: float32, 2: bfloat16
  int64_t c_element;  // of c; 4 where element is 4
  int64_t accumulate;
};

// Rows and columns of c, and how far the sum goes before its parts are added to c; in steps, which are one element of
// K in float32 and two in bfloat16.
struct Part {
  int64_t row, last_row, column, last_column, chunk;
};

// The arithmetic, compiled once for each instruction set. `scratch` is aligned to 64 bytes and holds scratch_bytes().
struct Products {
  void (*of_float)(const Product&, const Part&, char* scratch);
  void (*of_bfloat16)(const Product&, const Part&, char* scratch);  // null: not with these instructions
};

// c (M, N) = x (M, K) b (K, N), where b was packed once: kTileColumns columns make a panel, whose steps hold a unit of
// each. The layout is repeated in textrnn/ops/prepacked.py; raise kInterface when it changes.
struct PackedProduct {
  int64_t M, N, K;
  int64_t element;       // of the panels. 4: float32, 2: bfloat16, 1: int8; what is packed past N or K is 0
  const float* x;        // contiguous, as c
  const char* panels;    // (panels, steps, kTileColumns, 4 / element), aligned to 64 bytes
  const int32_t* first;  // int8 alone: (panels * kTileColumns,) -128 times the sum of each column
  const float* scales;   // int8 alone: (panels * kTileColumns,) what 1 stands for in each column
  float* c;
};

// The arithmetic of rows `row` to `last_row` - 1, kPackedRows at most, compiled for the instructions of one element.
// `scratch` is aligned to 64 bytes and holds packed_bytes().
using MultiplyPacked = void(const PackedProduct&, int64_t row, int64_t last_row, char* scratch);

constexpr int64_t kPackedRows = 16 * kTileRows;  // converted, they stay in the second-level cache beside the panels

// Of a row of x, converted: whole vectors.
inline int64_t packed_row_bytes(const PackedProduct& p) { return (p.K * p.element + 63) / 64 * 64; }

inline int64_t packed_bytes(const PackedProduct& p) {
  return p.element == 4 ? 0 : kPackedRows * (packed_row_bytes(p) + int64_t(sizeof(float)));
}

inline int64_t scratch_bytes(const Part& part) {
  const int64_t panels = (part.last_column - part.column + kTileColumns - 1) / kTileColumns;
  return part.chunk * (panels * kStepBytes + kTileRows * 4) + 64;  // a strip is stored by whole vectors
}

}  // namespace textrnn
