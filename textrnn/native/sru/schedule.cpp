// Entry points of the SRU recurrence, which divide a call into tasks for the threads.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "compiler.h"
#include "dispatch.h"
#include "offsets.h"
#include "sru/sru_args.h"
#include "threads.h"

namespace textrnn {
namespace {

// With wrong offsets or rows the kernels would read and write out of bounds.
bool is_valid(const SruArgs& p) {
  if (p.G != 3 && p.G != 4) return false;
  if (p.G == 3 && !p.x && p.R > 0) return false;
  if (!are_offsets(p.offsets, p.N, p.B)) return false;
  return p.rows ? are_indices(p.rows, p.N, p.R) : p.R == p.N;
}

// Bounds of chunks of sequences. They depend on the lengths alone, and dv and db are summed within a chunk, then over the
// chunks in order: the sums do not depend on the number of threads.
std::vector<int64_t> split_sequences(const SruArgs& p) {
  std::vector<int64_t> bounds = {0};
  for (int64_t i = 1; i < p.B; ++i)
    if (p.offsets[i] - p.offsets[bounds.back()] >= kTokens) bounds.push_back(i);
  bounds.push_back(p.B);
  return bounds;
}

// Columns of a task: kBlock, but fewer if there were too few tasks for the threads.
int64_t block_width(const SruArgs& p, int64_t parts, int threads) {
  int64_t width = kBlock;
  while (width > kColumns && parts * ((p.D + width - 1) / width) < 2 * threads) width /= 2;
  return width;
}

template <class Args>
void run(const Args& p, void (*kernel)(const Args&, const SruTask&), const std::vector<int64_t>& bounds, float* sums,
         int threads) {
  std::vector<SruTask> tasks;
  const int64_t chunks = int64_t(bounds.size()) - 1, width = block_width(p, chunks * p.K, threads);
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    for (int64_t k = 0; k < p.K; ++k)
      for (int64_t begin = 0; begin < p.D; begin += width)
        tasks.push_back({bounds[chunk], bounds[chunk + 1], k, begin, std::min(begin + width, p.D),
                         sums ? sums + (chunk * p.K + k) * 4 * p.D : nullptr});
  parallel_for(int64_t(tasks.size()), threads, [&](int64_t i) { kernel(p, tasks[size_t(i)]); });
}

void add_sums(const SruBackwardArgs& p, const std::vector<float>& sums, int64_t chunks) {
  for (int64_t k = 0; k < p.K; ++k)
    for (int g = 0; g < 4; ++g) {  // forget and reset gate of v, then of b
      float* total = (g < 2 ? p.dv : p.db) + (k * 2 + g % 2) * p.D;
      std::fill(total, total + p.D, 0.0f);
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const float* part = sums.data() + ((chunk * p.K + k) * 4 + g) * p.D;
        for (int64_t d = 0; d < p.D; ++d) total[d] += part[d];
      }
    }
}

}  // namespace
}  // namespace textrnn

EXPORT int textrnn_sru_forward(const textrnn::SruForwardArgs* p, int threads) try {
  if (!textrnn::is_valid(*p)) return textrnn::kInvalidArgument;
  textrnn::run(*p, textrnn::level().sru->forward, textrnn::split_sequences(*p), nullptr, threads);
  return textrnn::kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}

EXPORT int textrnn_sru_backward(const textrnn::SruBackwardArgs* p, int threads) try {
  if (!textrnn::is_valid(*p)) return textrnn::kInvalidArgument;
  const auto bounds = textrnn::split_sequences(*p);
  const int64_t chunks = int64_t(bounds.size()) - 1;
  std::vector<float> sums(size_t(chunks * p->K * 4 * p->D));
  textrnn::run(*p, textrnn::level().sru->backward, bounds, sums.data(), threads);
  textrnn::add_sums(*p, sums, chunks);
  return textrnn::kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}
