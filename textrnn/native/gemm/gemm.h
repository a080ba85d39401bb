// Products of matrices, in parts that different threads compute.
#pragma once

#include <cstdint>

namespace textrnn {

constexpr int64_t kTileRows = 14;     // of c at once: 28 vectors of sums, two of b and one of a use 31 of 32 registers
constexpr int64_t kTileColumns = 32;  // two vectors
constexpr int64_t kStepBytes = 128;   // of a panel of b: one step of the sum for kTileColumns columns
constexpr int64_t kCache = 576 * 1024;  // bytes of b's panels: they fit the second-level cache of AVX-512 processors

// c (M, N) = a (M, K) b (K, N), added to c if `accumulate` is not 0. Strides count elements; c_column is 1. Arguments
// of textrnn_gemm, laid out as native/functions.py declares them.
struct GemmArgs {
  int64_t M, K, N;
  int64_t element;    // of a and b. 4: float32, 2: bfloat16
  int64_t c_element;  // of c; 4 if element is 4
  const void* a;
  int64_t a_row, a_column;
  const void* b;
  int64_t b_row, b_column;
  void* c;
  int64_t c_row, c_column;
  int64_t accumulate;
};

// Rows and columns of c, and the steps of the sum between additions to c. A step is one element of K in float32 and two
// in bfloat16.
struct Part {
  int64_t row, last_row, column, last_column, chunk;
};

// Writes the panel of a prepacked matrix that begins at `b`, of kTileColumns columns or the last N, with its strides.
using PackPanel = void(const float* b, int64_t K, int64_t N, int64_t b_row, int64_t b_column, char* to);

// Kernels, compiled once for each instruction set. `scratch` is aligned to 64 bytes and holds scratch_bytes().
struct GemmKernels {
  void (*of_float)(const GemmArgs&, const Part&, char* scratch);
  void (*of_bfloat16)(const GemmArgs&, const Part&, char* scratch);  // null: these instructions lack it
  PackPanel* pack;
};

// Products of float32 matrices that are rounded to bfloat16. `scratch` holds rounded_scratch_bytes().
struct RoundedGemm {
  void (*multiply)(const GemmArgs&, const Part&, char* scratch);
  PackPanel* pack;
};

// c (M, N) = x (M, K) b (K, N) with a prepacked b: kTileColumns columns make a panel, whose steps hold a unit of each,
// and what lies past N or K is 0. The steps of float32 are K, those of the others whole vectors of a row. Arguments of
// textrnn_gemm_prepacked, laid out as native/functions.py declares them.
struct GemmPrepackedArgs {
  int64_t M, K;
  int64_t elements;  // of all panels
  int64_t columns;   // of `first` and `scales`: those of all panels for int8, else 0
  int64_t N;
  int64_t element;       // of the panels. 4: float32, 2: bfloat16, 1: int8
  const float* x;        // contiguous, as c
  const char* panels;    // (panels, steps, kTileColumns, 4 / element), aligned to 64 bytes
  const int32_t* first;  // -128 times the sum of each column
  const float* scales;   // the value of 1 in each column
  float* c;
};

// Kernel for rows `row` to `last_row` - 1, kPrepackedRows at most, compiled for the instructions of one element.
// `scratch` is aligned to 64 bytes and holds prepacked_bytes().
using MultiplyPrepacked = void(const GemmPrepackedArgs&, int64_t row, int64_t last_row, char* scratch);

constexpr int64_t kPrepackedRows = 16 * kTileRows;  // converted, they share the second-level cache with the panels

// Bytes of a converted row of x, in whole vectors.
inline int64_t prepacked_row_bytes(const GemmPrepackedArgs& p) { return (p.K * p.element + 63) / 64 * 64; }

// Steps of a panel.
inline int64_t prepacked_steps(const GemmPrepackedArgs& p) { return p.element == 4 ? p.K : prepacked_row_bytes(p) / 4; }

inline int64_t prepacked_bytes(const GemmPrepackedArgs& p) {
  return p.element == 4 ? 0 : kPrepackedRows * (prepacked_row_bytes(p) + int64_t(sizeof(float)));
}

// Whether this processor multiplies panels of that element, and sizes are those of the panels; looks at no array.
bool can_multiply(const GemmPrepackedArgs& p);

// All rows, by the current thread. Throws std::bad_alloc.
void multiply_prepacked(const GemmPrepackedArgs& p);

inline int64_t scratch_bytes(const Part& part) {
  const int64_t panels = (part.last_column - part.column + kTileColumns - 1) / kTileColumns;
  return part.chunk * (panels * kStepBytes + kTileRows * 4) + 64;  // a strip is stored in whole vectors
}

constexpr int64_t kRoundedRows = 32;  // of a, converted at once

inline int64_t rounded_scratch_bytes(const Part& part) {
  const int64_t steps = (part.chunk + 15) / 16 * 16;  // whole vectors
  const int64_t panels = (part.last_column - part.column + kTileColumns - 1) / kTileColumns;
  return steps * (panels * kStepBytes + kRoundedRows * 4);
}

}  // namespace textrnn
