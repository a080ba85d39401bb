// Shares the recurrences of GRU and LSTM out among threads, in groups of sequences of like length.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>
#include <numeric>
#include <vector>

#include "rnn/rnn.h"
#include "threads.h"

namespace textrnn {
namespace {

constexpr int64_t kFew = 8;                // sequences in a group, at least, where the work is cut for threads
constexpr double kWorthAThread = 1 << 20;  // multiplications that take longer than waking a thread

// Memory aligned to 64 bytes.
class Floats {
 public:
  explicit Floats(int64_t count) : memory_(size_t(count) + 16) {}
  float* begin() {
    return memory_.data() + (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64 / sizeof(float);
  }

 private:
  std::vector<float> memory_;
};

struct Job {
  const Recurrent& problem;
  const Rnn& rnn;
  const std::vector<Group>& groups;
  Tasks queue;
  std::atomic<bool> out_of_memory{false};
};

void work(void* context) {
  Job& job = *static_cast<Job*>(context);
  try {
    Floats scratch(scratch_floats(job.problem, job.rnn));
    job.queue.take(thread_index(), [&](size_t i) {
      Group group = job.groups[i];
      group.scratch = scratch.begin();
      job.rnn.run(job.problem, group);
    });
  } catch (const std::bad_alloc&) {
    job.out_of_memory = true;
  }
}

std::vector<int64_t> longest_first(const Recurrent& p) {
  std::vector<int64_t> order(static_cast<size_t>(p.B));
  std::iota(order.begin(), order.end(), int64_t(0));
  const auto length = [&](int64_t i) { return p.offsets[i + 1] - p.offsets[i]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
  return order;
}

}  // namespace

void run_groups(const Recurrent& p, const Rnn& rnn, int threads) {
  const double worth = double(p.N) * double(p.K * p.G * p.D) * double(p.D) / kWorthAThread;
  threads = int(std::min<double>(std::max(1, threads), 1 + worth));
  const int64_t wanted = threads > 1 ? (2 * threads + p.K - 1) / p.K : 1;
  const int64_t count = std::max((p.B + kGroup - 1) / kGroup, std::min((p.B + kFew - 1) / kFew, wanted));
  const std::vector<int64_t> order = longest_first(p);
  Floats panels(p.K * panel_floats(p, rnn));
  std::vector<Group> groups;
  for (int64_t k = 0; k < p.K; ++k) {  // outside, so that a thread has the same weights from task to task
    float* const own = panels.begin() + k * panel_floats(p, rnn);
    rnn.pack(p, k, own);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t first = p.B * i / count, last = p.B * (i + 1) / count;
      groups.push_back({order.data() + first, last - first, k, own, nullptr});
    }
  }
  threads = std::max(1, int(std::min<size_t>(size_t(threads), groups.size())));
  Job job{p, rnn, groups, {groups.size(), threads}};
  run_on(threads, work, &job);
  if (job.out_of_memory) throw std::bad_alloc();
}

}  // namespace textrnn
