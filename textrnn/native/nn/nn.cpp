// Entry points of dropout, pooling, layer normalization, the gradient of an embedding and AdamW. Each divides its work
// into tasks whose bounds do not depend on the number of threads: sums come out the same to the bit.
#include <algorithm>
#include <cstdint>
#include <numeric>
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

// A task: rows of D entries of a parameter; of one without `rows`, single entries.
struct RowRange {
  const ParameterState* parameter;
  int64_t D, begin, end;
};

// Status of a call of `body`, which throws std::bad_alloc if memory runs out.
template <class Body>
int run(const Body& body) {
  try {
    body(*level().nn);
    return kOk;
  } catch (...) {
    return kOutOfMemory;
  }
}

// Calls body(kernels, ranges) with the tasks over all parameters.
template <class Args, class Body>
int for_parameters(const Args& args, const Body& body) {
  const ParameterState* const first = args.parameters;
  const ParameterState* const last = first + args.bytes / int64_t(sizeof(ParameterState));
  if (!std::all_of(first, last, [](const ParameterState& p) { return p.rows ? are_indices(p.rows, p.R, p.V) : p.R == p.V; }))
    return kInvalidArgument;
  return run([&](const NnKernels& kernels) {
    std::vector<RowRange> ranges;
    for (const ParameterState* p = first; p != last; ++p) {
      const int64_t rows = p->rows ? p->R : p->R * p->D, D = p->rows ? p->D : 1;
      const int64_t step = std::max<int64_t>(1, kElements / std::max<int64_t>(1, D));
      for (int64_t begin = 0; begin < rows; begin += step) ranges.push_back({p, D, begin, std::min(rows, begin + step)});
    }
    body(kernels, ranges);
  });
}

// Calls a kernel for runs of `rows` rows.
template <class Args>
int for_rows(const Args& args, int64_t rows, int threads, void (*NnKernels::*kernel)(const Args&, int64_t, int64_t)) {
  if (args.offsets && !are_offsets(args.offsets, args.N, args.B)) return kInvalidArgument;
  return run([&](const NnKernels& kernels) {
    parallel_for(divide_up(args.N, rows), threads,
                 [&](int64_t i) { (kernels.*kernel)(args, i * rows, std::min(args.N, (i + 1) * rows)); });
  });
}

template <class Args>
int for_sequences(const Args& args, int threads, void (*NnKernels::*kernel)(const Args&, int64_t)) {
  if (!are_offsets(args.offsets, args.N, args.B, 1)) return kInvalidArgument;
  return run([&](const NnKernels& kernels) {
    parallel_for(args.B, threads, [&](int64_t i) { (kernels.*kernel)(args, i); });
  });
}

}  // namespace
}  // namespace textrnn

using namespace textrnn;

EXPORT int textrnn_dropout(const DropoutArgs* args, int threads) {
  const int64_t rows = std::max<int64_t>(1, kElements / std::max<int64_t>(1, args->D));
  return for_rows(*args, rows, threads, &NnKernels::dropout);
}

EXPORT int textrnn_layer_norm(const LayerNormArgs* args, int threads) {
  return for_rows(*args, kRows, threads, &NnKernels::layer_norm);
}

EXPORT int textrnn_layer_norm_back(const LayerNormBackArgs* args, int threads) {
  if (args->offsets && !are_offsets(args->offsets, args->N, args->B)) return kInvalidArgument;
  return run([&](const NnKernels& kernels) {
    const int64_t tasks = divide_up(args->N, kRows), D = args->D;
    std::vector<float> sums(size_t(tasks * 2 * D));
    parallel_for(tasks, threads, [&](int64_t i) {
      float* const own = sums.data() + i * 2 * D;
      kernels.layer_norm_back(*args, i * kRows, std::min(args->N, (i + 1) * kRows), own, own + D);
    });
    std::fill(args->dgain, args->dgain + D, 0.0f), std::fill(args->dbias, args->dbias + D, 0.0f);
    for (int64_t i = 0; i < tasks; ++i) {
      kernels.add(sums.data() + i * 2 * D, args->dgain, D);
      kernels.add(sums.data() + (i * 2 + 1) * D, args->dbias, D);
    }
  });
}

EXPORT int textrnn_pool_rows(const PoolArgs* args, int threads) {
  if (args->largest && !args->place) return kInvalidArgument;
  return for_sequences(*args, threads, &NnKernels::pool);
}

EXPORT int textrnn_pool_rows_back(const PoolBackArgs* args, int threads) {
  if (args->dlargest ? !args->place : !args->dmean) return kInvalidArgument;
  return for_sequences(*args, threads, &NnKernels::pool_back);
}

EXPORT int textrnn_attend(const AttendArgs* args, int threads) {
  return for_sequences(*args, threads, &NnKernels::attend);
}

EXPORT int textrnn_attend_back(const AttendBackArgs* args, int threads) {
  return for_sequences(*args, threads, &NnKernels::attend_back);
}

EXPORT int textrnn_add_rows(const AddRowsArgs* args, int threads) {
  const int64_t N = args->N, R = args->R, D = args->D;
  const int64_t* const places = args->places;
  if (!are_indices(places, N, R)) return kInvalidArgument;
  return run([&](const NnKernels& kernels) {
    std::vector<int64_t> next(size_t(R + 2)), order(static_cast<size_t>(N));  // a counting sort of the places
    for (int64_t i = 0; i < N; ++i) ++next[size_t(places[i] + 2)];
    for (int64_t r = 2; r < R + 2; ++r) next[size_t(r)] += next[size_t(r - 1)];
    for (int64_t i = 0; i < N; ++i) order[size_t(next[size_t(places[i] + 1)]++)] = i;
    parallel_for(divide_up(R, kRows), threads, [&](int64_t task) {
      for (int64_t r = task * kRows; r < std::min(R, (task + 1) * kRows); ++r) {
        float* const sum = args->sums + r * D;
        std::fill(sum, sum + D, 0.0f);
        for (int64_t k = next[size_t(r)]; k < next[size_t(r + 1)]; ++k)
          kernels.add(args->x + order[size_t(k)] * D, sum, D);
      }
    });
  });
}

EXPORT int textrnn_squares(const SquaresArgs* args, int threads) {
  return for_parameters(*args, [&](const NnKernels& kernels, const std::vector<RowRange>& ranges) {
    std::vector<double> sums(ranges.size());
    parallel_for(int64_t(ranges.size()), threads, [&](int64_t i) {
      const auto [p, D, begin, end] = ranges[size_t(i)];
      sums[size_t(i)] = kernels.squares(p->gradient + begin * D, (end - begin) * D);
    });
    *args->total = std::accumulate(sums.begin(), sums.end(), 0.0);
  });
}

EXPORT int textrnn_adamw(const AdamWArgs* args, int threads) {
  return for_parameters(*args, [&](const NnKernels& kernels, const std::vector<RowRange>& ranges) {
    parallel_for(int64_t(ranges.size()), threads, [&](int64_t i) {
      const auto [p, D, begin, end] = ranges[size_t(i)];
      const float left = float(1.0 - args->rates.lr * p->decay);
      const auto update = [&, p = p](int64_t to, int64_t from, int64_t n) {
        kernels.adamw(p->weight + to, p->mean + to, p->square + to, p->gradient + from, n, left, args->rates);
      };
      if (!p->rows) return update(begin, begin, end - begin);
      for (int64_t r = begin; r < end; ++r) update(p->rows[r] * D, r * D, D);
    });
  });
}
