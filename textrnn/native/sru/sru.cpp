// The SRU recurrence, one row of columns at a time. This file is compiled once for each instruction set, TEXTRNN_LEVEL.
// It uses nothing of the standard library, whose inline functions the linker could take from the wrong copy.
#include <cstdint>
#include <cstring>

#include "compiler.h"
#include "nn/activations.h"
#include "nn/vectors.h"
#include "sru/sru_args.h"

namespace textrnn {
namespace {

alignas(64) const float kZeros[kBlock] = {};
constexpr int64_t kAhead = 2;  // steps between the request for a table's row and its use; 1 and 4 are slower

// The constants of a direction, and the current row. The gradient of u may be written over u, so u0, u1, u2 and highway
// have no RESTRICT: a column is read before it is written.
template <class T>
struct Row {
  const float *RESTRICT vf, *RESTRICT vr, *RESTRICT bf, *RESTRICT br;
  const T *u0, *u1, *u2, *highway;
  float alpha;
  const float* RESTRICT previous;
};

template <class T>
INLINE void step_forward(const Row<T>& row, int64_t n, float* RESTRICT c, T* RESTRICT h) {
  const Row<T> p = row;
  for_columns(n, [&](int64_t d, auto f_type) {
    using F = decltype(f_type);
    using At = Access<F>;
    const F u0 = At::load(p.u0 + d), previous = At::load(p.previous + d);
    const F f = sigmoid(At::load(p.u1 + d) + At::load(p.vf + d) * previous + At::load(p.bf + d));
    const F r = sigmoid(At::load(p.u2 + d) + At::load(p.vr + d) * previous + At::load(p.br + d));
    const F state = u0 + f * (previous - u0);
    const F highway = p.alpha * At::load(p.highway + d);
    At::store(c + d, state);
    At::store(h + d, highway + r * (state - highway));
  });
}

template <class T>
struct Gradients {
  T *u0, *u1, *u2, *highway;
  float *RESTRICT c, *RESTRICT vf, *RESTRICT vr, *RESTRICT bf, *RESTRICT br;
};

template <class T>
INLINE void step_backward(const Row<T>& row, int64_t n, const T* RESTRICT dh, const Gradients<T>& to) {
  const Row<T> p = row;
  const Gradients<T> g = to;
  for_columns(n, [&](int64_t d, auto f_type) {
    using F = decltype(f_type);
    using At = Access<F>;
    const F u0 = At::load(p.u0 + d), previous = At::load(p.previous + d);
    const F vf = At::load(p.vf + d), vr = At::load(p.vr + d);
    const F f = sigmoid(At::load(p.u1 + d) + vf * previous + At::load(p.bf + d));
    const F r = sigmoid(At::load(p.u2 + d) + vr * previous + At::load(p.br + d));
    const F out = At::load(dh + d), change = previous - u0;
    const F state = u0 + f * change;
    const F highway = p.alpha * At::load(p.highway + d);
    const F dr = out * (state - highway) * (r * (1.0f - r));
    const F dc = At::load(g.c + d) + out * r;
    const F df = dc * change * (f * (1.0f - f));
    At::store(g.u0 + d, dc * (1.0f - f));
    At::store(g.u1 + d, df);
    At::store(g.u2 + d, dr);
    At::store(g.highway + d, p.alpha * (out * (1.0f - r)));
    At::store(g.c + d, dc * f + df * vf + dr * vr);
    At::store(g.vf + d, At::load(g.vf + d) + df * previous);
    At::store(g.vr + d, At::load(g.vr + d) + dr * previous);
    At::store(g.bf + d, At::load(g.bf + d) + df);
    At::store(g.br + d, At::load(g.br + d) + dr);
  });
}

// The places of a task's tensors.
template <class T>
struct Places {
  const SruArgs& p;
  const SruTask& task;
  int64_t n = task.end - task.begin;
  int64_t K = p.K, G = p.G, D = p.D;

  int64_t row(int64_t sequence, int64_t step) const {
    return task.k == 0 ? p.offsets[sequence] + step : p.offsets[sequence + 1] - 1 - step;
  }
  int64_t length(int64_t sequence) const { return p.offsets[sequence + 1] - p.offsets[sequence]; }
  int64_t at_row(int64_t row) const { return (row * K + task.k) * D + task.begin; }
  int64_t at_sequence(int64_t sequence) const { return (sequence * K + task.k) * D + task.begin; }
  int64_t at_block(int64_t row, int64_t g) const { return ((row * K + task.k) * G + g) * D + task.begin; }

  const float* start(int64_t sequence) const { return p.c0 ? p.c0 + at_sequence(sequence) : kZeros; }

  Row<T> constants() const {
    const float* v = p.v + task.k * 2 * D + task.begin;
    const float* b = p.b + task.k * 2 * D + task.begin;
    Row<T> row{};
    row.vf = v, row.vr = v + D, row.bf = b, row.br = b + D;
    row.alpha = G == 4 ? 1.0f : float(p.alpha);
    return row;
  }
  void set_inputs(Row<T>& row, int64_t token) const {
    const int64_t at = p.rows ? p.rows[token] : token;
    const T* u = static_cast<const T*>(p.u) + at_block(at, 0);
    row.u0 = u, row.u1 = u + D, row.u2 = u + 2 * D;
    row.highway = G == 4 ? u + 3 * D : static_cast<const T*>(p.x) + at_row(at);
  }
};

// Requests the inputs of a later row: those of a table are far from the previous row's, in the last-level cache at best.
template <class T>
INLINE void prefetch(const Row<T>& row, int64_t n) {
  constexpr int64_t line = 64 / sizeof(T);
  for (int64_t d = 0; d < n; d += line) {
    PREFETCH(row.u0 + d);
    PREFETCH(row.u1 + d);
    PREFETCH(row.u2 + d);
    PREFETCH(row.highway + d);
  }
}

template <class T>
void run_forward(const SruForwardArgs& p, const SruTask& task) {
  const Places<T> places{p, task};
  const int64_t n = places.n;
  alignas(64) float scratch[2][kBlock];
  Row<T> row = places.constants();
  for (int64_t i = task.first; i < task.last; ++i) {
    const float* previous = places.start(i);
    for (int64_t t = 0, length = places.length(i); t < length; ++t) {
      const int64_t at = places.row(i, t);
      if (p.rows && t + kAhead < length) {
        places.set_inputs(row, places.row(i, t + kAhead));
        prefetch(row, n);
      }
      places.set_inputs(row, at);
      row.previous = previous;
      float* c = p.states ? p.states + places.at_row(at) : scratch[t & 1];
      step_forward(row, n, c, static_cast<T*>(p.h) + places.at_row(at));
      previous = c;
    }
    if (p.final) std::memcpy(p.final + places.at_sequence(i), previous, size_t(n) * sizeof(float));
  }
}

template <class T>
void run_backward(const SruBackwardArgs& p, const SruTask& task) {
  const Places<T> places{p, task};
  const int64_t n = places.n, D = p.D;
  alignas(64) float dc[kBlock], sums[4][kBlock] = {};
  Row<T> row = places.constants();
  Gradients<T> to{};
  to.c = dc, to.vf = sums[0], to.vr = sums[1], to.bf = sums[2], to.br = sums[3];
  for (int64_t i = task.first; i < task.last; ++i) {
    std::memset(dc, 0, sizeof dc);
    for (int64_t t = places.length(i) - 1; t >= 0; --t) {
      const int64_t at = places.row(i, t);
      places.set_inputs(row, at);
      row.previous = t == 0 ? places.start(i) : p.states + places.at_row(places.row(i, t - 1));
      T* du = static_cast<T*>(p.du) + places.at_block(at, 0);
      to.u0 = du, to.u1 = du + D, to.u2 = du + 2 * D;
      to.highway = p.G == 4 ? du + 3 * D : static_cast<T*>(p.dx) + places.at_row(at);
      step_backward(row, n, static_cast<const T*>(p.dh) + places.at_row(at), to);
    }
  }
  for (int g = 0; g < 4; ++g) std::memcpy(task.sums + g * D + task.begin, sums[g], size_t(n) * sizeof(float));
}

void forward(const SruForwardArgs& p, const SruTask& task) {
  p.element == 4 ? run_forward<float>(p, task) : run_forward<BFloat16>(p, task);
}

void backward(const SruBackwardArgs& p, const SruTask& task) {
  p.element == 4 ? run_backward<float>(p, task) : run_backward<BFloat16>(p, task);
}

}  // namespace

extern const SruKernels TEXTRNN_SYMBOL(sru_, TEXTRNN_LEVEL);
const SruKernels TEXTRNN_SYMBOL(sru_, TEXTRNN_LEVEL) = {forward, backward};

}  // namespace textrnn
