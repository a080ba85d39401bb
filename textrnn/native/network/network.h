// A whole SRU network over packed texts, for prediction.
#pragma once

#include <cstdint>

namespace textrnn {

// A layer, laid out as native/functions.py declares it: rows of `inputs` entries become rows of K * D.
struct NetworkLayer {
  int64_t X, elements, columns, K, D;
  int64_t element;           // of the panels; elements, columns, panels, first and scales are GemmPrepackedArgs's
  const float *gain, *bias;  // of a layer norm before the product; null: none
  const char* panels;
  const int32_t* first;
  const float* scales;
  const float *v, *b;  // (K, 2, D)
  int64_t inputs;
  int64_t width;  // of the product: K * D times 3, or 4 if K * D is not `inputs`
};

// Arguments of textrnn_sru_network, laid out as native/functions.py declares them.
struct NetworkArgs {
  int64_t V, X, U, N, B, bytes, W;
  const float* embedding;      // (V, X)
  const float* projected;      // (V, U) the first layer's products of the embedding; null: computed here
  const int32_t* ids;          // (N,)
  const int64_t* offsets;      // (B+1,)
  const NetworkLayer* layers;  // `bytes` of them
  const float* w;              // (W,) of attention, else null
  float *attended, *largest, *mean, *last;  // (B, W); those that are not null are written
  double alpha, epsilon;
};

}  // namespace textrnn
