#include "threads.h"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <dlfcn.h>
#include <link.h>

#include <cstring>
#include <string>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace textrnn {
namespace {

// GNU OpenMP's entry point, a stable interface: a team of `threads` calls body(context).
using Parallel = void (*)(void (*body)(void*), void* context, unsigned threads, unsigned flags);

struct OpenMP {
  Parallel parallel = nullptr;
  int (*thread_index)() = nullptr;
};

#if defined(__linux__)
int find_runtime(dl_phdr_info* info, size_t, void* found) {
  auto& path = *static_cast<std::string*>(found);
  const std::string name = info->dlpi_name;
  if (name.find("libgomp") == std::string::npos) return 0;
  if (path.empty() || name.find("/torch") != std::string::npos) path = name;  // other packages load copies too
  return 0;
}

OpenMP find_openmp() {
  std::string path;
  dl_iterate_phdr(find_runtime, &path);
  void* library = path.empty() ? nullptr : dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (!library) return {};
  return {reinterpret_cast<Parallel>(dlsym(library, "GOMP_parallel")),
          reinterpret_cast<int (*)()>(dlsym(library, "omp_get_thread_num"))};
}
#else
OpenMP find_openmp() { return {}; }
#endif

const OpenMP& openmp() {
  static const OpenMP found = find_openmp();
  return found;
}

thread_local int index_in_pool = 0;

class Pool {
 public:
  void run(int threads, void (*body)(void*), void* context) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (int(workers_.size()) < threads - 1) {
      const int index = int(workers_.size());
      workers_.emplace_back([this, index, seen = round_] { work(index, seen); });
    }
    body_ = body, context_ = context, wanted_ = threads - 1, busy_ = threads - 1, ++round_;
    lock.unlock();
    begin_.notify_all();
    body(context);
    lock.lock();
    end_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
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

// Never destroyed: its threads wait until the process ends, and a forked child does not have them to join.
struct Shared {
  Pool* pool = new Pool;
  std::mutex* in_use = new std::mutex;
};

Shared& shared() {
  static Shared* const shared = [] {
    static Shared* made = new Shared;
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, [] { *made = Shared(); });  // a child needs a new pool
#endif
    return made;
  }();
  return *shared;
}

}  // namespace

void run_on(int threads, void (*body)(void*), void* context) {
  if (threads <= 1) return body(context);
  if (const Parallel parallel = openmp().parallel) return parallel(body, context, unsigned(threads), 0);
  std::unique_lock<std::mutex> lock(*shared().in_use, std::try_to_lock);
  if (!lock.owns_lock()) return body(context);  // another thread uses the pool: this one works alone
  shared().pool->run(threads, body, context);
}

int thread_index() { return openmp().thread_index ? openmp().thread_index() : index_in_pool; }

char* thread_scratch(size_t bytes) {
  thread_local std::vector<char> memory;
  if (memory.size() < bytes + 64) memory.resize(bytes + 64);
  return memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
}

const char* pool_name() { return openmp().parallel ? "openmp" : "own"; }

}  // namespace textrnn
