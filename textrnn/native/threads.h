// Parallel loops.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace textrnn {

// Tasks 0 to count - 1, in one run of neighbors for each thread. A thread starts with its own run: tasks that work on
// the same rows in successive calls then find them in its processor's cache. It continues with what others left.
class TaskQueue {
 public:
  TaskQueue(size_t count, int threads) : runs_(size_t(threads)) {
    for (size_t i = 0; i < runs_.size(); ++i) {
      runs_[i].next = count * i / runs_.size();
      runs_[i].end = count * (i + 1) / runs_.size();
    }
  }

  // Calls work(task) for every task that thread `index` gets.
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

// Calls body(context) on at most `threads` threads, the calling one among them, and returns when all have finished. Beside
// torch it uses the threads of torch's OpenMP runtime, since two pools would compete for the processors. Otherwise, and in a
// forked child, where GNU OpenMP would wait for ever for the parent's threads, it uses a pool of this library.
void run_on(int threads, void (*body)(void*), void* context);

// The number, from 0, of the current thread of run_on; a thread keeps its number from call to call.
int thread_index();

// "openmp" or "own".
const char* pool_name();

// Memory of the current thread, aligned to 64 bytes, that it keeps for later calls. Throws std::bad_alloc.
char* thread_scratch(size_t bytes);

// Calls work(i) for 0 <= i < count, on `threads` threads at most. Throws std::bad_alloc if a call does.
template <class Work>
void parallel_for(int64_t count, int threads, const Work& work) {
  struct Loop {
    const Work& work;
    TaskQueue queue;
    std::atomic<bool> failed{false};

    static void run(void* context) {
      Loop& loop = *static_cast<Loop*>(context);
      try {
        loop.queue.take(thread_index(), [&](size_t i) { loop.work(int64_t(i)); });
      } catch (...) {  // must not leave the thread
        loop.failed = true;
      }
    }
  };
  threads = int(std::max<int64_t>(1, std::min<int64_t>(threads, count)));
  Loop loop{work, {size_t(count), threads}};
  run_on(threads, Loop::run, &loop);
  if (loop.failed) throw std::bad_alloc();
}

}  // namespace textrnn
