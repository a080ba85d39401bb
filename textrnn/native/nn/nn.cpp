// Entry points of dropout, pooling, layer normalization, the gradient of an embedding and AdamW. Each divides its work
// into tasks whose bounds do not depend on the number of threads: sums come out the same to the bit.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "compiler.h"
#include "dispatch.h"
#include "nn/nn_kernels.h"
#include "offsets.h"
#include "threads.h"

namespace textrnn {
namespace {

// Of a task.
constexpr int64_t kElements = 1 << 14;
constexpr int64_t kRows = 64;

int64_t divide_up(int64_t x, int64_t by) { return (x + by - 1) / by; }

// Rows of a parameter that a task updates.
struct RowRange {
  const ParameterState* of;
  int64_t begin, end;
};

std::vector<RowRange> split(const ParameterState* states, int64_t count) {
  std::vector<RowRange> ranges;
  for (const ParameterState* state = states; state != states + count; ++state) {
    const int64_t rows = std::max<int64_t>(1, kElements / std::max<int64_t>(1, state->D));
    for (int64_t begin = 0; begin < state->R; begin += rows)
      ranges.push_back({state, begin, std::min(state->R, begin + rows)});
  }
  return ranges;
}

}  // namespace
}  // namespace textrnn

// nn_kernels.h describes the buffers.
EXPORT int textrnn_dropout(int64_t element, const void* x, void* y, int64_t n, double keep, uint64_t key, int threads) try {
  using namespace textrnn;
  const NnKernels& kernels = *level().nn;
  parallel_for(divide_up(n, kElements), threads, [&](int64_t i) {
    kernels.dropout(element, x, y, i * kElements, std::min(n, (i + 1) * kElements), float(keep), key);
  });
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}

EXPORT int textrnn_pool_rows(int64_t element, const void* x, const int64_t* offsets, int64_t N, int64_t B, int64_t D,
                             float* largest, int32_t* place, float* mean, int threads) try {
  using namespace textrnn;
  if (!are_offsets(offsets, N, B, 1)) return kInvalidArgument;
  const NnKernels& kernels = *level().nn;
  parallel_for(B, threads, [&](int64_t i) {
    const char* rows = static_cast<const char*>(x) + offsets[i] * D * element;
    kernels.pool(element, rows, offsets[i + 1] - offsets[i], D, largest ? largest + i * D : nullptr,
                 place ? place + i * D : nullptr, mean ? mean + i * D : nullptr);
  });
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}

EXPORT int textrnn_pool_rows_back(int64_t element, const float* dlargest, const int32_t* place, const float* dmean,
                                  const int64_t* offsets, int64_t N, int64_t B, int64_t D, void* dx, int threads) try {
  using namespace textrnn;
  if (!are_offsets(offsets, N, B, 1)) return kInvalidArgument;
  const NnKernels& kernels = *level().nn;
  parallel_for(B, threads, [&](int64_t i) {
    char* rows = static_cast<char*>(dx) + offsets[i] * D * element;
    kernels.pool_back(element, dlargest ? dlargest + i * D : nullptr, place ? place + i * D : nullptr,
                      dmean ? dmean + i * D : nullptr, offsets[i + 1] - offsets[i], D, rows);
  });
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}

EXPORT int textrnn_attend(const float* x, const float* w, const int64_t* offsets, int64_t N, int64_t B, int64_t D,
                          float* pooled, float* weights, int threads) try {
  using namespace textrnn;
  if (!are_offsets(offsets, N, B, 1)) return kInvalidArgument;
  const NnKernels& kernels = *level().nn;
  parallel_for(B, threads, [&](int64_t i) {
    const int64_t at = offsets[i], length = offsets[i + 1] - at;
    kernels.attend(x + at * D, w, length, D, pooled + i * D, weights ? weights + at : nullptr);
  });
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}

EXPORT int textrnn_attend_back(const float* x, const float* w, const float* pooled, const float* weights,
                               const float* dpooled, const int64_t* offsets, int64_t N, int64_t B, int64_t D, float* dx,
                               float* dw, int threads) try {
  using namespace textrnn;
  if (!are_offsets(offsets, N, B, 1)) return kInvalidArgument;
  const NnKernels& kernels = *level().nn;
  parallel_for(B, threads, [&](int64_t i) {
    const int64_t at = offsets[i], row = i * D;
    kernels.attend_back(x + at * D, w, offsets[i + 1] - at, D, pooled + row, weights + at, dpooled + row, dx + at * D,
                        dw + row);
  });
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}

EXPORT int textrnn_layer_norm(const textrnn::LayerNormArgs* args, int threads) try {
  using namespace textrnn;
  const NnKernels& kernels = *level().nn;
  parallel_for(divide_up(args->N, kRows), threads, [&](int64_t i) {
    kernels.layer_norm(*args, i * kRows, std::min(args->N, (i + 1) * kRows));
  });
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}

// Writes dgain (D,) and dbias (D,) too.
EXPORT int textrnn_layer_norm_back(const textrnn::LayerNormArgs* args, float* dgain, float* dbias, int threads) try {
  using namespace textrnn;
  const NnKernels& kernels = *level().nn;
  const int64_t tasks = divide_up(args->N, kRows), D = args->D;
  std::vector<float> sums(size_t(tasks * 2 * D));
  parallel_for(tasks, threads, [&](int64_t i) {
    float* const own = sums.data() + i * 2 * D;
    kernels.layer_norm_back(*args, i * kRows, std::min(args->N, (i + 1) * kRows), own, own + D);
  });
  std::fill(dgain, dgain + D, 0.0f), std::fill(dbias, dbias + D, 0.0f);
  for (int64_t i = 0; i < tasks; ++i) {
    kernels.add(sums.data() + i * 2 * D, dgain, D);
    kernels.add(sums.data() + (i * 2 + 1) * D, dbias, D);
  }
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}

// sums (R, D): row r is the sum of the rows of x (N, D) whose place (N,) is r, in their order.
EXPORT int textrnn_add_rows(const float* x, const int64_t* places, int64_t N, int64_t R, int64_t D, float* sums,
                            int threads) try {
  using namespace textrnn;
  if (!are_indices(places, N, R)) return kInvalidArgument;
  std::vector<int64_t> next(size_t(R + 2)), order(static_cast<size_t>(N));  // a counting sort of the places
  for (int64_t i = 0; i < N; ++i) ++next[size_t(places[i] + 2)];
  for (int64_t r = 2; r < R + 2; ++r) next[size_t(r)] += next[size_t(r - 1)];
  for (int64_t i = 0; i < N; ++i) order[size_t(next[size_t(places[i] + 1)]++)] = i;
  const NnKernels& kernels = *level().nn;
  parallel_for(divide_up(R, kRows), threads, [&](int64_t task) {
    for (int64_t r = task * kRows; r < std::min(R, (task + 1) * kRows); ++r) {
      float* const sum = sums + r * D;
      std::fill(sum, sum + D, 0.0f);
      for (int64_t k = next[size_t(r)]; k < next[size_t(r + 1)]; ++k) kernels.add(x + order[size_t(k)] * D, sum, D);
    }
  });
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}

// The sum of the squares of all gradients of `count` parameters.
EXPORT int textrnn_squares(const textrnn::ParameterState* states, int64_t count, double* sum, int threads) try {
  using namespace textrnn;
  const NnKernels& kernels = *level().nn;
  const auto ranges = split(states, count);
  std::vector<double> sums(ranges.size());
  parallel_for(int64_t(ranges.size()), threads, [&](int64_t i) {
    const auto [of, begin, end] = ranges[size_t(i)];
    sums[size_t(i)] = kernels.squares(of->gradient + begin * of->D, (end - begin) * of->D);
  });
  *sum = 0;
  for (const double part : sums) *sum += part;
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}

EXPORT int textrnn_adamw(const textrnn::ParameterState* states, int64_t count, const textrnn::AdamWRates* rates,
                         int threads) try {
  using namespace textrnn;
  for (int64_t i = 0; i < count; ++i)
    if (states[i].rows && !are_indices(states[i].rows, states[i].R, states[i].V)) return kInvalidArgument;
  const NnKernels& kernels = *level().nn;
  const auto ranges = split(states, count);
  parallel_for(int64_t(ranges.size()), threads, [&](int64_t i) {
    const ParameterState& p = *ranges[size_t(i)].of;
    const int64_t begin = ranges[size_t(i)].begin, end = ranges[size_t(i)].end, D = p.D;
    const auto update = [&](int64_t to, int64_t from, int64_t n) {
      kernels.adamw(p.weight + to, p.mean + to, p.square + to, p.gradient + from, n, float(p.decay), *rates);
    };
    if (!p.rows) return update(begin * D, begin * D, (end - begin) * D);
    for (int64_t r = begin; r < end; ++r) update(p.rows[r] * D, r * D, D);
  });
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}
