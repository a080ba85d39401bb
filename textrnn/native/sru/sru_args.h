// What one call of the recurrence works on. The layout is repeated in cpu.py; raise kInterface when it changes.
#pragma once

#include <cstdint>

namespace textrnn {

constexpr int kBlock = 512;       // columns in a task, at most: the state of a task stays in the first-level cache
constexpr int kColumns = 64;      // tasks begin at a multiple of it, so that a column meets the same instructions always
constexpr int64_t kTokens = 128;  // tokens in a chunk of sequences, at least; never depends on the threads: see Chunks

// Letters as everywhere: N tokens, B sequences, K directions, G blocks of u (3 or 4), D columns.
struct Problem {
  int64_t N, B, K, G, D;
  int64_t R;               // rows of u and x: N where `rows` is null
  int64_t element;         // 4: float32, 2: bfloat16, of u, x, h and their gradients; everything else is float32
  const int64_t* offsets;  // (B+1,)
  const int32_t* rows;     // (N,) the row of u and x that a token has, or null: its own. The forward pass alone knows it
  const void* u;           // (R, K, G, D)
  const void* x;           // (R, K, D) where G is 3
  const float* v;          // (K, 2, D)
  const float* b;          // (K, 2, D)
  const float* c0;         // (B, K, D) or null: zeros
  const float* mask;       // (B, K, D) or null: ones
  double alpha;
  void* h;              // (N, K, D)
  float* states;        // (N, K, D): c after each step; null: not wanted. Read by the backward pass
  float* final;         // (B, K, D)
  const void* dh;       // (N, K, D) or null: zeros
  const float* dfinal;  // (B, K, D) or null: zeros
  void* du;             // (N, K, G, D); may be u itself
  void* dx;             // (N, K, D) where G is 3
  float* dv;            // (K, 2, D)
  float* db;            // (K, 2, D)
  float* dc0;           // (B, K, D) or null: not wanted
};

// A part of the work that no other part touches: some sequences, one direction, some columns.
struct Task {
  int64_t first, last;  // sequences
  int64_t k;            // direction
  int64_t begin, end;   // columns
  float* sums;          // (4, D): where the backward pass leaves its part of dv and db
};

// The arithmetic, compiled once for each instruction set.
struct Kernels {
  void (*forward)(const Problem&, const Task&);
  void (*backward)(const Problem&, const Task&);
  void (*sigmoid)(const float* x, float* y, int64_t n);
};

}  // namespace textrnn
