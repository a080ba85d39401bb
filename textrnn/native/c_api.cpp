// Version of the C interface, and choice of the instruction set. Each folder exports its own functions; library.py
// calls them through ctypes, which releases the interpreter's lock.
#include <atomic>
#include <vector>

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

// Levels that this processor supports, the fastest last.
std::vector<Level> list_levels() {
  std::vector<Level> supported = {{"generic", &sru_generic, &nn_generic, &rnn_generic}};
#if defined(TEXTRNN_X86)
  if (has_avx2()) supported.push_back({"avx2", &sru_avx2, &nn_avx2, &rnn_avx2});
  if (has_avx512()) supported.push_back({"avx512", &sru_avx512, &nn_avx512, &rnn_avx512});
#endif
  return supported;
}

const std::vector<Level>& levels() {
  static const std::vector<Level> supported = list_levels();
  return supported;
}

bool is_level(int i) { return i >= 0 && i < int(levels().size()); }

std::atomic<const Level*>& chosen() {
  static std::atomic<const Level*> in_use{&levels().back()};
  return in_use;
}

}  // namespace

const Level& level() { return *chosen().load(); }

}  // namespace textrnn

EXPORT int textrnn_interface() { return textrnn::kInterface; }

EXPORT const char* textrnn_pool() { return textrnn::pool_name(); }

// The name of the i-th level that this processor supports, the fastest last; null past the end.
EXPORT const char* textrnn_level(int i) {
  return textrnn::is_level(i) ? textrnn::levels()[size_t(i)].name : nullptr;
}

// Uses the i-th level from now on; for tests.
EXPORT int textrnn_use_level(int i) {
  if (!textrnn::is_level(i)) return textrnn::kInvalidArgument;
  textrnn::chosen() = &textrnn::levels()[size_t(i)];
  return textrnn::kOk;
}
