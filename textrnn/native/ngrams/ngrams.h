// The n-grams of packed texts and a linear model over them. textrnn/models/ngram/features.py and table.py define both;
// the results are equal to the bit.
#pragma once

#include <cstdint>

namespace textrnn {

// Arguments of the exported functions, laid out as native/functions.py declares them. All begin with a batch of texts:
// ids (N,), offsets (B+1,), the code points of all pieces (P,), and their bounds by piece, spelling (V+1,).

struct NgramCountsArgs {
  int64_t N, B, P, V;
  const int32_t* ids;
  const int64_t* offsets;
  const uint32_t* codes;
  const int64_t* spelling;
  int64_t* counts;  // (B,)
};

struct NgramKeysArgs {
  int64_t N, B, P, V, K;
  const int32_t* ids;
  const int64_t* offsets;
  const uint32_t* codes;
  const int64_t* spelling;
  const int64_t* bounds;  // (B+1,) cumulative counts
  uint32_t* keys;         // (K,)
};

struct NgramSlotsArgs {
  int64_t F, S;
  const uint32_t* keys;  // (F,)
  uint64_t* slots;       // (S,), all 0 before
};

struct NgramLogitsArgs {
  int64_t N, B, P, V, S, F, C;
  const int32_t* ids;
  const int64_t* offsets;
  const uint32_t* codes;
  const int64_t* spelling;
  const uint64_t* slots;  // (S,) a power of two: key << 32 | row + 1 in the first free slot from key % S on; 0: free
  const float* values;    // (F, C+1): the part of an occurrence in the sum under the root, then in each class's
  const float* bias;      // (C,)
  float* logits;          // (B, C)
};

}  // namespace textrnn
