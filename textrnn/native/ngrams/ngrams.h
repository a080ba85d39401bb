// The n-grams of packed texts and a linear model over them: textrnn/models/ngram/features.py and table.py say what they are and
// do the same in numpy, bit for bit.
#pragma once

#include <cstdint>

namespace textrnn {

// The layouts are repeated in textrnn/models/ngram/native.py; raise kInterface when they change.
struct Texts {
  int64_t N, B, V, P;
  const int32_t* ids;       // (N,)
  const int64_t* offsets;   // (B+1,)
  const uint32_t* codes;    // (P,) code points of all pieces
  const int64_t* spelling;  // (V+1,) where those of each piece begin
};

struct Linear {
  int64_t F, C, S;
  const uint64_t* slots;  // (S,) a power of two: key << 32 | row + 1 at the first free place from key % S on; 0: free
  const float* values;    // (F, 1+C): what an occurrence adds to the sum under the root, and to those of the classes
  const float* bias;      // (C,)
};

}  // namespace textrnn
