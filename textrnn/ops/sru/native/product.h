// A product of two matrices, in parts that different threads may compute.
#pragma once

#include <cstdint>

namespace textrnn {

constexpr int64_t kTileRows = 14;     // of c at once: 28 vectors of sums, two of b and one of a fill the 32 registers
constexpr int64_t kTileColumns = 32;  // two vectors
constexpr int64_t kStepBytes = 128;   // of a packed panel of b: a step of the sum for kTileColumns columns

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
  const char* name;
  void (*of_float)(const Product&, const Part&, char* scratch);
  void (*of_bfloat16)(const Product&, const Part&, char* scratch);  // null: not with these instructions
};

inline int64_t scratch_bytes(const Part& part) {
  const int64_t panels = (part.last_column - part.column + kTileColumns - 1) / kTileColumns;
  return part.chunk * (panels * kStepBytes + kTileRows * 4) + 64;  // a strip is stored by whole vectors
}

}  // namespace textrnn
