// Entry point of the recurrences of GRU and LSTM: divides a call into groups of sequences of similar length.
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "compiler.h"
#include "dispatch.h"
#include "offsets.h"
#include "rnn/rnn.h"
#include "threads.h"

namespace textrnn {
namespace {

constexpr int64_t kFew = 8;                // sequences in a group, at least, if groups are split for threads
constexpr double kWorthAThread = 1 << 20;  // multiplications that take longer than to wake a thread

float* align(float* memory) {
  return memory + (64 - reinterpret_cast<uintptr_t>(memory) % 64) % 64 / sizeof(float);
}

std::vector<int64_t> longest_first(const RnnArgs& p) {
  std::vector<int64_t> order(static_cast<size_t>(p.B));
  std::iota(order.begin(), order.end(), int64_t(0));
  const auto length = [&](int64_t i) { return p.offsets[i + 1] - p.offsets[i]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
  return order;
}

void run_groups(const RnnArgs& p, const RnnKernels& rnn, int threads) {
  const double worth = double(p.N) * double(p.K * p.G * p.D) * double(p.D) / kWorthAThread;
  threads = int(std::min<double>(std::max(1, threads), 1 + worth));
  const int64_t wanted = threads > 1 ? (2 * threads + p.K - 1) / p.K : 1;
  const int64_t count = std::max((p.B + kGroup - 1) / kGroup, std::min((p.B + kFew - 1) / kFew, wanted));
  const std::vector<int64_t> order = longest_first(p);
  std::vector<float> memory(size_t(p.K * panel_floats(p, rnn) + 16));
  float* const panels = align(memory.data());
  std::vector<Group> groups;
  for (int64_t k = 0; k < p.K; ++k) {  // the outer loop, so that a thread keeps its weights from task to task
    float* const own = panels + k * panel_floats(p, rnn);
    rnn.pack(p, k, own);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t first = p.B * i / count, last = p.B * (i + 1) / count;
      groups.push_back({order.data() + first, last - first, k, own, nullptr});
    }
  }
  parallel_for(int64_t(groups.size()), threads, [&](int64_t i) {
    Group group = groups[size_t(i)];
    group.scratch = reinterpret_cast<float*>(thread_scratch(size_t(scratch_floats(p, rnn)) * sizeof(float)));
    rnn.run(p, group);
  });
}

}  // namespace
}  // namespace textrnn

EXPORT int textrnn_rnn(const textrnn::RnnArgs* p, int threads) try {
  using namespace textrnn;
  if (!are_offsets(p->offsets, p->N, p->B, 1)) return kInvalidArgument;
  if (p->rows ? !are_indices(p->rows, p->N, p->R) : p->N > p->R) return kInvalidArgument;
  run_groups(*p, *level().rnn, threads);
  return kOk;
} catch (...) {
  return textrnn::kOutOfMemory;
}
