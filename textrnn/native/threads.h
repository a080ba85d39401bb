// Running a function on several threads at once, and sharing tasks out among them.
#pragma once

#include <atomic>
#include <cstddef>
#include <vector>

namespace textrnn {

// Tasks 0 to count - 1, in one run for each thread. A thread takes those of its own run first: tasks that work on the
// same rows in one call after another then find them in its processor's cache. It goes on with what others left.
class Tasks {
 public:
  Tasks(size_t count, int threads) : runs_(size_t(threads)) {
    for (size_t i = 0; i < runs_.size(); ++i) {
      runs_[i].next = count * i / runs_.size();
      runs_[i].end = count * (i + 1) / runs_.size();
    }
  }

  // Call `work(task)` for every task that thread `index` gets.
  template <class Work>
  void take(int index, const Work& work) {
    for (size_t i = 0; i < runs_.size(); ++i) {
      Run& run = runs_[(size_t(index) + i) % runs_.size()];
      for (size_t task; (task = run.next.fetch_add(1, std::memory_order_relaxed)) < run.end;) work(task);
    }
  }

 private:
  struct alignas(64) Run {  // a cache line of its own
    std::atomic<size_t> next{0};
    size_t end = 0;
  };
  std::vector<Run> runs_;
};

// Call `body(context)` on `threads` threads, the calling one among them, and return when all have. The OpenMP runtime
// that the process holds already (torch's) lends its threads, so that there are never two pools that wait for one
// another's processors; where there is none, a pool of this library's own does.
void run_on(int threads, void (*body)(void*), void* context);

// Which of the threads that run_on called this one is, from 0; the same thread has the same number from call to call.
int thread_index();

// Which of the two it is: "openmp" or "own".
const char* pool_name();

}  // namespace textrnn
