#include "threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <dlfcn.h>
#include <link.h>

#include <cstdio>
#include <cstring>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace textrnn {
namespace {

// GNU OpenMP's entry point, a stable interface: a team of `threads` calls body(context).
using Parallel = void (*)(void (*body)(void*), void* context, unsigned threads, unsigned flags);

std::atomic<bool> has_forked{false};  // since this library was loaded

struct OpenMP {
  Parallel parallel = nullptr;
  int (*thread_index)() = nullptr;
};

#if defined(__linux__)
struct Loaded {
  bool has_torch = false;
  const char* openmp = nullptr;  // path
};

int find_libraries(dl_phdr_info* info, size_t, void* found) {
  auto& loaded = *static_cast<Loaded*>(found);
  const char* const name = info->dlpi_name;
  if (std::strstr(name, "libtorch_cpu")) loaded.has_torch = true;
  if (std::strstr(name, "libgomp") && (!loaded.openmp || std::strstr(name, "/torch"))) loaded.openmp = name;
  return 0;  // other packages load copies of the runtime too
}

// Whether this process was forked and still runs its parent's program: PF_FORKNOEXEC among the flags of the kernel.
bool is_forked() {
  char text[512] = {};
  if (std::FILE* file = std::fopen("/proc/self/stat", "r")) {
    if (!std::fgets(text, sizeof text, file)) text[0] = 0;
    std::fclose(file);
  }
  unsigned long flags = 0;
  const char* const name_end = std::strrchr(text, ')');  // the name before it may hold anything
  return name_end && std::sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 && (flags & 0x40);
}

OpenMP find_openmp() {
  Loaded loaded;
  dl_iterate_phdr(find_libraries, &loaded);
  if (!loaded.has_torch || !loaded.openmp || has_forked || is_forked()) return {};
  void* library = dlopen(loaded.openmp, RTLD_LAZY | RTLD_NOLOAD);
  if (!library) return {};
  return {reinterpret_cast<Parallel>(dlsym(library, "GOMP_parallel")),
          reinterpret_cast<int (*)()>(dlsym(library, "omp_get_thread_num"))};
}
#else
OpenMP find_openmp() { return {}; }
#endif

thread_local int index_in_pool = 0;

class Pool {
 public:
  void run(int threads, void (*body)(void*), void* context) {
    std::unique_lock<std::mutex> lock(mutex_);
    add_workers(threads - 1);
    wanted_ = busy_ = std::min(threads - 1, int(workers_.size()));
    body_ = body, context_ = context, ++round_;
    lock.unlock();
    begin_.notify_all();
    body(context);
    lock.lock();
    end_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  // Fewer if the system refuses more threads or memory: the others then do all the work.
  void add_workers(int count) try {
    while (int(workers_.size()) < count) {
      const int index = int(workers_.size());
      workers_.emplace_back([this, index, seen = round_] { work(index, seen); });
    }
  } catch (...) {
  }

  void work(int index, uint64_t seen) {
    index_in_pool = index + 1;  // the caller is 0
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      begin_.wait(lock, [&] { return round_ != seen; });
      seen = round_;
      if (index >= wanted_) continue;
      const auto body = body_;
      void* const context = context_;
      lock.unlock();
      body(context);
      lock.lock();
      if (--busy_ == 0) end_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable begin_, end_;
  std::vector<std::thread> workers_;
  void (*body_)(void*) = nullptr;
  void* context_ = nullptr;
  int wanted_ = 0, busy_ = 0;
  uint64_t round_ = 0;
};

// What a process computes with. Never destroyed: threads of the pool wait until the process ends.
struct Shared {
  const OpenMP openmp = find_openmp();
  Pool pool;
  std::mutex pool_in_use;
};

std::atomic<Shared*> current{nullptr};

// A forked child has neither the threads of its parent nor the owners of its locks: it starts anew.
#if !defined(_WIN32)
const int registered = pthread_atfork(nullptr, nullptr, [] { has_forked = true, current = nullptr; });
#endif

// Without a lock, which a fork could leave locked in the child.
Shared& shared() {
  Shared* found = current.load();
  if (found) return *found;
  auto made = std::make_unique<Shared>();
  return current.compare_exchange_strong(found, made.get()) ? *made.release() : *found;
}

}  // namespace

void run_on(int threads, void (*body)(void*), void* context) {
  if (threads <= 1) return body(context);
  Shared& own = shared();
  if (own.openmp.parallel) return own.openmp.parallel(body, context, unsigned(threads), 0);
  std::unique_lock<std::mutex> lock(own.pool_in_use, std::try_to_lock);
  if (!lock.owns_lock()) return body(context);  // another thread uses the pool: this one works alone
  own.pool.run(threads, body, context);
}

int thread_index() {
  const OpenMP& openmp = shared().openmp;
  return openmp.thread_index ? openmp.thread_index() : index_in_pool;
}

char* thread_scratch(size_t bytes) {
  thread_local std::vector<char> memory;
  if (memory.size() < bytes + 64) memory.resize(bytes + 64);
  return memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
}

const char* pool_name() { return shared().openmp.parallel ? "openmp" : "own"; }

}  // namespace textrnn
