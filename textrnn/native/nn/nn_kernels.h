// Kernels of a network's other layers: dropout, pooling, layer normalization, and the update by AdamW.
#pragma once

#include <cstdint>

namespace textrnn {

// Arguments of the exported functions, laid out as native/functions.py declares them: sizes, then the bytes of elements
// that are float32 (4) or bfloat16 (2), then fields. `offsets` (B+1,) bound the sequences.

// y = dropout of x (N, D): of the same columns in all rows of a sequence, or of entries if `offsets` is null.
struct DropoutArgs {
  int64_t N, D, B, element;
  const void* x;
  const int64_t* offsets;
  void* y;
  double keep;
  uint64_t key;
};

// y = dropout of x (N, D) as above; n = (y - mean) * rstd * gain + bias. If y
// is null, nothing is dropped. mean and rstd (N,) may be null.
struct LayerNormArgs {
  int64_t N, D, B, x_element, y_element;
  const void* x;
  const int64_t* offsets;
  void *y, *n;
  const float *gain, *bias;  // (D,)
  float *mean, *rstd;
  uint64_t key;
  double keep, epsilon;
};

struct LayerNormBackArgs {
  int64_t N, D, B, y_element, x_element;
  const void* y;
  const int64_t* offsets;
  const float *gain, *mean, *rstd;
  const void *dy, *dn;  // dy may be null
  void* dx;
  float *dgain, *dbias;  // (D,)
  uint64_t key;
  double keep;
};

struct PoolArgs {
  int64_t N, D, B, element;
  const void* x;
  const int64_t* offsets;
  float* largest;  // (B, D), as the others; each may be null
  int32_t* place;
  float* mean;
};

struct PoolBackArgs {
  int64_t B, D, N, element;
  const float* dlargest;
  const int32_t* place;
  const float* dmean;
  const int64_t* offsets;
  void* dx;
};

struct AttendArgs {
  int64_t N, D, B;
  const float *x, *w;
  const int64_t* offsets;
  float *pooled, *weights;  // weights may be null
};

struct AttendBackArgs {
  int64_t N, D, B;
  const float *x, *w;
  const int64_t* offsets;
  const float *pooled, *weights, *dpooled;
  float *dx, *dw;
};

struct AddRowsArgs {
  int64_t N, D, R;
  const float* x;
  const int64_t* places;  // (N,)
  float* sums;            // (R, D)
};

// Row `rows[r]` of a parameter (V, D) and of its moments has row r of the gradient (R, D); R is V if `rows` is null.
struct ParameterState {
  int64_t V, D, R;
  float *weight, *mean, *square;
  const float* gradient;
  const int64_t* rows;
  double decay;
};

// `scale` multiplies the gradients; `step` is the learning rate over the first bias correction, `root` one over the
// root of the second.
struct AdamWRates {
  double lr;
  float scale, beta1, beta2, step, root, epsilon;
};

// Arguments of the functions over all parameters, which take `bytes` of ParameterState.
struct SquaresArgs {
  int64_t bytes;
  const ParameterState* parameters;
  double* total;
};
struct AdamWArgs {
  int64_t bytes;
  const ParameterState* parameters;
  AdamWRates rates;
};

// Kernels, compiled once for each instruction set. Each call writes a part that no other call touches.
struct NnKernels {
  // For rows begin <= r < end, as the two after it.
  void (*dropout)(const DropoutArgs& args, int64_t begin, int64_t end);
  void (*layer_norm)(const LayerNormArgs& args, int64_t begin, int64_t end);
  // Adds the rows' parts to dgain and dbias, both (D,).
  void (*layer_norm_back)(const LayerNormBackArgs& args, int64_t begin, int64_t end, float* dgain, float* dbias);
  // For one sequence, as the three after it.
  void (*pool)(const PoolArgs& args, int64_t sequence);
  void (*pool_back)(const PoolBackArgs& args, int64_t sequence);
  void (*attend)(const AttendArgs& args, int64_t sequence);
  void (*attend_back)(const AttendBackArgs& args, int64_t sequence);
  // Adds x to sum, both (n,).
  void (*add)(const float* x, float* sum, int64_t n);
  // The sum of the squares of x (n,).
  double (*squares)(const float* x, int64_t n);
  // Updates weights and their moments, all (n,), by their gradient.
  void (*adamw)(float* weight, float* mean, float* square, const float* gradient, int64_t n, float decay,
                const AdamWRates& rates);
};

}  // namespace textrnn
