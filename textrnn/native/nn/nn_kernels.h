// What a network computes beside its recurrent layers.
#pragma once

#include <cstdint>

namespace textrnn {

// AdamW's numbers for a step: what gradients are multiplied by, both betas, the step, one over the root of the second
// bias correction, epsilon.
struct AdamWRates {
  float scale, beta1, beta2, step, root, epsilon;
};

// What AdamW moves: `rows` (R,) of a matrix (V, D) and of its moments by `gradient` (R, D), or, where it is null, all R
// rows of a matrix (R, D). `decay` is what is left of a weight. Matches ops/adamw.py.
struct ParameterState {
  float *weight, *mean, *square;
  const float* gradient;
  const int64_t* rows;
  int64_t R, V, D;
  double decay;
};

// Dropout, then layer normalisation, of the rows of x (N, D): y is what dropout left of x, n = (y - mean) * rstd * gain +
// bias. x has elements of x_element bytes, y, n and their gradients of y_element. Forward writes y, n, mean (N,) and rstd
// (N,), of which y, where nothing is dropped, mean and rstd may be null; backward reads y, mean, rstd, dn and dy (may be null) and writes dx. Matches ops/layer_norm.py.
struct LayerNormArgs {
  const void* x;
  void *y, *n;
  const float *gain, *bias;
  float *mean, *rstd;
  const void *dy, *dn;
  void* dx;
  int64_t N, D, x_element, y_element;
  uint64_t key;
  double keep, epsilon;
};

// The arithmetic, compiled once for each instruction set. `element` is 4 for float32 and 2 for bfloat16, of x, y and
// dx; everything else is float32. Each call works on a part that no other touches.
struct NnKernels {
  // y[i] = x[i] / keep, or 0 where the random number of i, which `key` decides, says so; for begin <= i < end.
  void (*dropout)(int64_t element, const void* x, void* y, int64_t begin, int64_t end, float keep, uint64_t key);
  // Of the rows of a sequence, x (length, D): the largest of each column, where it stands first, and the mean; any of
  // them may be null.
  void (*pool)(int64_t element, const void* x, int64_t length, int64_t D, float* largest, int32_t* place, float* mean);
  // The gradient dx (length, D) from those of the largest and of the mean, of which one may be null.
  void (*pool_back)(int64_t element, const float* dlargest, const int32_t* place, const float* dmean, int64_t length,
                    int64_t D, void* dx);
  // The mean of the rows of a sequence, x (length, D), by weights (length,) that are the softmax of their scores
  // w . tanh(row), w (D,). These may be null: not wanted.
  void (*attend)(const float* x, const float* w, int64_t length, int64_t D, float* pooled, float* weights);
  // The gradients dx (length, D) and dw (D,) that this sequence brings.
  void (*attend_back)(const float* x, const float* w, int64_t length, int64_t D, const float* pooled, const float* weights,
                      const float* dpooled, float* dx, float* dw);
  // For the rows begin <= r < end.
  void (*layer_norm)(const LayerNormArgs& args, int64_t begin, int64_t end);
  // Adds to dgain (D,) and dbias (D,) what those rows bring.
  void (*layer_norm_back)(const LayerNormArgs& args, int64_t begin, int64_t end, float* dgain, float* dbias);
  // Adds x to sum, both (n,).
  void (*add)(const float* x, float* sum, int64_t n);
  // The sum of the squares of x (n,).
  double (*squares)(const float* x, int64_t n);
  // Moves weights and their moments, all (n,), by their gradient.
  void (*adamw)(float* weight, float* mean, float* square, const float* gradient, int64_t n, float decay,
                const AdamWRates& rates);
};

}  // namespace textrnn
