// The arguments of a call of the SRU recurrence, and its kernels.
#pragma once

#include <cstdint>

namespace textrnn {

constexpr int kBlock = 512;       // columns of a task, at most: its state stays in the first-level cache
constexpr int kColumns = 64;      // tasks begin at a multiple of it, so a column always meets the same instructions
constexpr int64_t kTokens = 128;  // tokens of a chunk of sequences, at least; see split_sequences

// N tokens, B sequences, K directions, G blocks of u (3 or 4), D columns. functions.py describes the layout: raise
// kInterface when it changes.
struct SruArgs {
  int64_t R, K, G, D, B, N;
  int64_t element;         // of u, x, h and their gradients: 4 for float32, 2 for bfloat16; the rest is float32
  const void* u;           // (R, K, G, D)
  const void* x;           // (R, K, D) if G is 3, else null
  const int64_t* offsets;  // (B+1,)
  const int32_t* rows;     // (N,) the row of u and x of each token; null: its own, and R is N
  const float* v;          // (K, 2, D)
  const float* b;          // (K, 2, D)
  const float* c0;         // (B, K, D) or null: zeros
  double alpha;
};

struct SruForwardArgs : SruArgs {
  void* h;        // (N, K, D)
  float* states;  // (N, K, D): c after each step, for the backward pass; null: not kept
  float* final;   // (B, K, D); null: not kept
};

struct SruBackwardArgs : SruArgs {
  const float* states;  // (N, K, D)
  const void* dh;       // (N, K, D)
  void* du;             // (N, K, G, D); may be u itself
  void* dx;             // (N, K, D) if G is 3
  float* dv;            // (K, 2, D)
  float* db;            // (K, 2, D)
};

// A part of the work that no other part touches: sequences, one direction, columns.
struct SruTask {
  int64_t first, last;  // sequences
  int64_t k;            // direction
  int64_t begin, end;   // columns
  float* sums;          // (4, D): the task's part of dv and db
};

// The arithmetic, compiled once for each instruction set.
struct SruKernels {
  void (*forward)(const SruForwardArgs&, const SruTask&);
  void (*backward)(const SruBackwardArgs&, const SruTask&);
};

// Calls run(k, begin, end) for each direction and block of columns: the widest tasks that a kernel takes.
template <class Run>
void for_column_blocks(const SruArgs& p, const Run& run) {
  for (int64_t k = 0; k < p.K; ++k)
    for (int64_t begin = 0; begin < p.D; begin += kBlock) run(k, begin, begin + kBlock < p.D ? begin + kBlock : p.D);
}

}  // namespace textrnn
