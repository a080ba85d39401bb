// The SRU layers of a network over packed texts, for training.
#pragma once

#include <cstdint>

namespace textrnn {

// A layer, laid out as native/functions.py declares it: the input x is dropped to y and normalized to n, whose product
// with the weight is u. The gradients from `dh` on are of the backward pass.
struct TrainingLayer {
  int64_t N, X, U, K, D, W;
  const float* x;            // (N, X)
  float *y, *n;              // (N, X); null: nothing is dropped, or normalized
  float *mean, *rstd;        // (N,)
  const float *gain, *bias;  // (X,); null as n
  const float* weight;       // (X, U)
  float* u;                  // (N, U); the backward pass writes its gradient over it
  const float *v, *b;        // (K, 2, D)
  float *states, *h;         // (N, W) with W = K * D
  const float* dh;           // (N, W)
  float* carried;            // (N, W) the gradient of the highway; null if it has a block of u
  float *dn, *dx;            // (N, X)
  float *dgain, *dbias;      // (X,)
  float* dweight;            // (X, U)
  float *dv, *db;            // (K, 2, D)
  double keep;
  uint64_t key;

  const float* dropped() const { return y ? y : x; }
  const float* factor() const { return n ? n : dropped(); }
  int64_t blocks() const { return U / W; }
};

struct TrainingArgs {
  int64_t bytes, B;
  const TrainingLayer* layers;  // `bytes` of them
  const int64_t* offsets;       // (B+1,)
  int64_t variational;          // 1: dropout has one mask for all rows of a text
  int64_t element;              // of products. 4: float32, 2: rounded to bfloat16
  double alpha, epsilon;
};

}  // namespace textrnn
