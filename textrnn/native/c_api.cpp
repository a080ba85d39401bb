// Version of the C interface, and choice of the instruction set. Each folder exports its own functions; library.py
// calls them through ctypes, which releases the interpreter's lock.
#include <atomic>

#include "compiler.h"
#include "cpu_features.h"
#include "dispatch.h"
#include "threads.h"

namespace textrnn {

extern const SruKernels sru_generic;
extern const NnKernels nn_generic;
extern const RnnKernels rnn_generic;
#if defined(TEXTRNN_X86)
extern const SruKernels sru_avx2, sru_avx512;
extern const NnKernels nn_avx2, nn_avx512;
extern const RnnKernels rnn_avx2, rnn_avx512;
#endif

namespace {

constexpr Level kLevels[] = {
    {"generic", &sru_generic, &nn_generic, &rnn_generic},
#if defined(TEXTRNN_X86)
    {"avx2", &sru_avx2, &nn_avx2, &rnn_avx2},
    {"avx512", &sru_avx512, &nn_avx512, &rnn_avx512},
#endif
};

// The number of levels that this processor supports; each includes those before it.
int count_levels() {
#if defined(TEXTRNN_X86)
  return has_avx512() ? 3 : has_avx2() ? 2 : 1;
#else
  return 1;
#endif
}

bool is_level(int i) {
  static const int count = count_levels();
  return i >= 0 && i < count;
}

std::atomic<const Level*>& chosen() {
  static std::atomic<const Level*> in_use{&kLevels[count_levels() - 1]};
  return in_use;
}

}  // namespace

const Level& level() { return *chosen().load(); }

}  // namespace textrnn

EXPORT int textrnn_interface() { return textrnn::kInterface; }

EXPORT const char* textrnn_pool() try {
  return textrnn::pool_name();
} catch (...) {
  return nullptr;
}

// The name of the i-th level that this processor supports, the fastest last; null past the end.
EXPORT const char* textrnn_level(int i) {
  return textrnn::is_level(i) ? textrnn::kLevels[i].name : nullptr;
}

// Uses the i-th level from now on; for tests.
EXPORT int textrnn_use_level(int i) {
  if (!textrnn::is_level(i)) return textrnn::kInvalidArgument;
  textrnn::chosen() = &textrnn::kLevels[i];
  return textrnn::kOk;
}
