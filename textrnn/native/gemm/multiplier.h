// Products whose caller divides them among threads.
#pragma once

#include <cstdint>
#include <vector>

#include "gemm/gemm.h"

namespace textrnn {

// Products of float32 matrices, in float32 (element 4), or rounded to bfloat16 (2), divided by the caller.
class Multiplier {
 public:
  explicit Multiplier(int64_t element);
  bool is_supported() const { return pack_ && multiply_; }

  // The parts of a product on `threads` threads. Of `p`, `element` and `c_element` are 4.
  std::vector<Part> share_out(const GemmArgs& p, int threads) const;
  // One part, by the current thread. Throws std::bad_alloc.
  void multiply(const GemmArgs& p, const Part& part) const;
  // A prepacked matrix from a (K, N) one with strides: its bytes, and one of its panels.
  int64_t packed_bytes(int64_t K, int64_t N) const;
  void pack(const float* b, int64_t K, int64_t N, int64_t b_row, int64_t b_column, int64_t panel, char* to) const;
  // c (M, N) = x (M, K) times that matrix, by the current thread. Throws std::bad_alloc.
  void multiply_packed(const float* x, int64_t M, int64_t K, const char* panels, int64_t N, float* c) const;

 private:
  int64_t element_;
  PackPanel* pack_ = nullptr;
  void (*multiply_)(const GemmArgs&, const Part&, char* scratch) = nullptr;
};

}  // namespace textrnn
