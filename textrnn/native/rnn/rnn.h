// The recurrences of GRU and LSTM over packed sequences; textrnn/ops/rnn_forward.py has their formulas.
#pragma once

#include <cstdint>

namespace textrnn {

constexpr int64_t kGroup = 32;  // sequences of a task, at most: their states fit the first-level cache

// Arguments of textrnn_rnn, laid out as native/functions.py declares them; G is 3 for GRU and 4 for LSTM.
struct RnnArgs {
  int64_t R, K, G, D, B, N;
  const float* gates;      // (R, K, G, D)
  const int64_t* offsets;  // (B+1,)
  const int32_t* rows;     // (N,) the row of `gates` of each token; null: its own
  const float* weight;     // (K, G, D, D)
  const float* bias;       // (K, G, D)
  float* h;                // (N, K, D)
};

// A task: sequences, longest first, in one direction. No two tasks write the same states.
struct Group {
  const int64_t* sequences;
  int64_t count, k;
  const float* panels;  // the direction's own
  float* scratch;
};

// Kernels, compiled once for each instruction set. They compute `wide` columns at once; panels and scratch are aligned
// to 64 bytes.
struct RnnKernels {
  int64_t wide;
  void (*pack)(const RnnArgs&, int64_t k, float* panels);
  void (*run)(const RnnArgs&, const Group&);
};

inline int64_t blocks_of(const RnnArgs& p, const RnnKernels& rnn) { return (p.D + rnn.wide - 1) / rnn.wide; }

// Floats of a direction's panels, and of a task's scratch, each a multiple of 16.
inline int64_t panel_floats(const RnnArgs& p, const RnnKernels& rnn) {
  return (blocks_of(p, rnn) * (p.D + 1) * p.G * rnn.wide + 15) / 16 * 16;
}
inline int64_t scratch_floats(const RnnArgs& p, const RnnKernels& rnn) { return 3 * blocks_of(p, rnn) * kGroup * rnn.wide; }

}  // namespace textrnn
