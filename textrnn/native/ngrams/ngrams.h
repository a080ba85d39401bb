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

// Whether offsets and spelling rise from 0 to N and P, and ids are below V.
bool are_sound(const Texts& texts);

// Fills `slots`, which are all 0. Returns false where a key would lie far from its place, as no hashes do.
bool fill_slots(const uint32_t* keys, int64_t F, uint64_t* slots, int64_t S);

// Of the texts `first` to `last`: the n-grams of each, their keys from bounds[text] on, or the scores (B, C).
// They throw std::bad_alloc.
void count_ngrams(const Texts& texts, int64_t first, int64_t last, int64_t* counts);
void hash_ngrams(const Texts& texts, int64_t first, int64_t last, const int64_t* bounds, uint32_t* keys);
void score_ngrams(const Texts& texts, int64_t first, int64_t last, const Linear& linear, float* scores);

}  // namespace textrnn
