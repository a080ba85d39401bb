// GRU and LSTM: each step is a small product, of the states of a group of sequences and the recurrent weights, then the
// gates. This file is compiled once for each instruction set, named by TEXTRNN_LEVEL, and uses nothing of the standard
// library.
//
// A block is kWide columns of all gates. Its weights form a panel: the biases, then the factors of each column of the
// state. A tile, some sequences by one block, is summed in registers along this contiguous memory. States are stored as
// (blocks, group, kWide), so that the rows of a tile are at fixed distances. Columns past D are zero in panels and
// states. A sum begins at the bias and follows the order of columns, for any number of sequences in a tile.
#include "rnn/rnn.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

#include "compiler.h"
#include "nn/activations.h"

namespace textrnn {
namespace {

// kWide floats, and sum + x * y in one instruction if the processor has it. A compiler left to contract the two might
// do so in some tiles only, and the sums would differ.
#if defined(__AVX512F__)
using Floats = __m512;
INLINE Floats add_product(Floats sum, float x, Floats y) { return _mm512_fmadd_ps(_mm512_set1_ps(x), y, sum); }
#elif defined(__AVX2__)
using Floats = __m256;
INLINE Floats add_product(Floats sum, float x, Floats y) { return _mm256_fmadd_ps(_mm256_set1_ps(x), y, sum); }
#elif defined(__GNUC__)
typedef float Floats __attribute__((vector_size(16)));
INLINE Floats add_product(Floats sum, float x, Floats y) { return sum + x * y; }
#else
struct Floats {
  float at[4];
};
INLINE Floats add_product(Floats sum, float x, Floats y) {
  for (int i = 0; i < 4; ++i) sum.at[i] += x * y.at[i];
  return sum;
}
#endif
constexpr int kWide = sizeof(Floats) / sizeof(float);
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kSums = 24;  // vectors of sums in a tile: with factors and states they use 32 registers
#else
constexpr int kSums = 12;  // of 16 registers
#endif
template <int G>
constexpr int kTile = kSums / G;  // sequences in a tile, at most

INLINE Floats load_wide(const float* from) {
  Floats to;
  std::memcpy(&to, from, sizeof to);
  return to;
}

INLINE int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

// sums (R, G, kWide) = biases + states W. `stride` is the distance between blocks of the states.
template <int G, int R>
void multiply(const float* state, int64_t stride, const float* panel, int64_t D, float* sums) {
  Floats sum[R][G];
  UNROLL
  for (int g = 0; g < G; ++g) {
    const Floats bias = load_wide(panel + g * kWide);
    UNROLL
    for (int r = 0; r < R; ++r) sum[r][g] = bias;
  }
  panel += G * kWide;
  for (int64_t left = D; left > 0; left -= kWide, state += stride) {
    const int64_t depth = smaller(left, kWide);
    for (int64_t j = 0; j < depth; ++j, panel += G * kWide) {
      Floats factor[G];
      UNROLL
      for (int g = 0; g < G; ++g) factor[g] = load_wide(panel + g * kWide);
      UNROLL
      for (int r = 0; r < R; ++r) {
        UNROLL
        for (int g = 0; g < G; ++g) sum[r][g] = add_product(sum[r][g], state[r * kWide + j], factor[g]);
      }
    }
  }
  std::memcpy(sums, sum, sizeof sum);
}

// Multiplies `rows` sequences, R at most.
template <int G, int R>
INLINE void multiply_rows(int64_t rows, const float* state, int64_t stride, const float* panel, int64_t D, float* sums) {
  if (rows == R) return multiply<G, R>(state, stride, panel, D, sums);
  if constexpr (R > 1) multiply_rows<G, R - 1>(rows, state, stride, panel, D, sums);
}

// A block of one sequence: `outer` is W x + b of its gates, `step` apart; `inner` is the product.
INLINE void step_gru(const float* RESTRICT outer, int64_t step, const float* RESTRICT inner,
                     const float* RESTRICT before, float* RESTRICT after) {
  VECTORISE
  for (int d = 0; d < kWide; ++d) {
    const float r = sigmoid(outer[d] + inner[d]);
    const float z = sigmoid(outer[step + d] + inner[kWide + d]);
    const float n = tanh_approx(outer[2 * step + d] + r * inner[2 * kWide + d]);
    after[d] = n + z * (before[d] - n);
  }
}

INLINE void step_lstm(const float* RESTRICT outer, int64_t step, const float* RESTRICT inner, float* RESTRICT cell,
                      float* RESTRICT after) {
  VECTORISE
  for (int d = 0; d < kWide; ++d) {
    const float i = sigmoid(outer[d] + inner[d]);
    const float f = sigmoid(outer[step + d] + inner[kWide + d]);
    const float g = tanh_approx(outer[2 * step + d] + inner[2 * kWide + d]);
    const float o = sigmoid(outer[3 * step + d] + inner[3 * kWide + d]);
    const float kept = f * cell[d];
    const float c = kept + i * g;
    cell[d] = c;
    after[d] = o * tanh_approx(c);
  }
}

// For each sequence of a group: its gates at this step and the next, and the output for its state.
struct Step {
  const float *gates[kGroup], *coming[kGroup];
  float* h[kGroup];
};

template <int G>
struct Walk {
  const RnnArgs& p;
  const Group& group;
  int64_t D = p.D, stride = kGroup * kWide, size = (D + kWide - 1) / kWide * stride;
  float *before = group.scratch, *after = before + size, *cell = after + size;
  Step step{};

  int64_t length(int64_t i) const {
    const int64_t* const at = p.offsets + group.sequences[i];
    return at[1] - at[0];
  }
  int64_t token(int64_t i, int64_t t) const {
    const int64_t* const at = p.offsets + group.sequences[i];
    return group.k == 0 ? at[0] + t : at[1] - 1 - t;
  }
  const float* gates(int64_t token) const { return p.gates + ((p.rows ? p.rows[token] : token) * p.K + group.k) * G * D; }

  // Points `step` to step t of the first `active` sequences.
  void find(int64_t t, int64_t active) {
    for (int64_t i = 0; i < active; ++i) {
      const int64_t here = token(i, t);
      step.gates[i] = t > 0 ? step.coming[i] : gates(here);
      step.coming[i] = t + 1 < length(i) ? gates(token(i, t + 1)) : step.gates[i];
      step.h[i] = p.h + (here * p.K + group.k) * D;
    }
  }

  // Applies the gates to a tile: `rows` sequences from `first` on, and the block that begins at column d.
  void finish(int64_t first, int64_t rows, int64_t d, const float* sums) {
    const int64_t width = smaller(kWide, D - d);
    float padded[G * kWide] = {};
    for (int64_t i = first; i < first + rows; ++i, sums += G * kWide) {
      const float* outer = step.gates[i] + d;
      int64_t apart = D;
      if (width < kWide) {
        for (int g = 0; g < G; ++g) std::memcpy(padded + g * kWide, outer + g * D, size_t(width) * sizeof(float));
        outer = padded, apart = kWide;
      }
      for (int g = 0; g < G; ++g) PREFETCH(step.coming[i] + g * D + d);
      const int64_t at = d / kWide * stride + i * kWide;
      if constexpr (G == 3)
        step_gru(outer, apart, sums, before + at, after + at);
      else
        step_lstm(outer, apart, sums, cell + at, after + at);
      if (width == kWide)
        std::memcpy(step.h[i] + d, after + at, kWide * sizeof(float));  // a fixed size: a call would spill the vectors
      else
        std::memcpy(step.h[i] + d, after + at, size_t(width) * sizeof(float));
    }
  }

  void run() {
    float sums[kSums * kWide];
    std::memset(before, 0, size_t(3 * size) * sizeof(float));
    int64_t active = group.count;
    for (int64_t t = 0;; ++t) {
      while (active > 0 && length(active - 1) <= t) --active;
      if (active == 0) return;
      find(t, active);
      const float* panel = group.panels;
      for (int64_t d = 0; d < D; d += kWide, panel += (D + 1) * G * kWide)
        for (int64_t first = 0, tiles = (active + kTile<G> - 1) / kTile<G>; tiles > 0; --tiles) {
          const int64_t rows = (active - first + tiles - 1) / tiles;
          multiply_rows<G, kTile<G>>(rows, before + first * kWide, stride, panel, D, sums);
          finish(first, rows, d, sums);
          first += rows;
        }
      float* const old = before;
      before = after, after = old;
    }
  }
};

void run(const RnnArgs& p, const Group& group) {
  p.G == 3 ? Walk<3>{p, group}.run() : Walk<4>{p, group}.run();
}

void pack(const RnnArgs& p, int64_t k, float* panels) {
  const int64_t D = p.D, G = p.G, step = G * kWide;
  for (int64_t d = 0; d < D; d += kWide, panels += (D + 1) * step)
    for (int64_t g = 0; g < G; ++g)
      for (int64_t i = 0; i < kWide; ++i) {
        float* const to = panels + g * kWide + i;
        const bool is_inside = d + i < D;
        const int64_t row = (k * G + g) * D + d + i;
        to[0] = is_inside ? p.bias[row] : 0.0f;
        for (int64_t j = 0; j < D; ++j) to[(j + 1) * step] = is_inside ? p.weight[row * D + j] : 0.0f;
      }
}

}  // namespace

extern const RnnKernels TEXTRNN_SYMBOL(rnn_, TEXTRNN_LEVEL);
const RnnKernels TEXTRNN_SYMBOL(rnn_, TEXTRNN_LEVEL) = {kWide, pack, run};

}  // namespace textrnn
