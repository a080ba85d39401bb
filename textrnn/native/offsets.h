// Checks of indices that the kernels would otherwise follow out of bounds.
#pragma once

#include <algorithm>
#include <cstdint>

namespace textrnn {

// Whether offsets (B+1,) rise from 0 to N, by at least `min_length` each time.
inline bool are_offsets(const int64_t* offsets, int64_t N, int64_t B, int64_t min_length = 0) {
  if (offsets[0] != 0 || offsets[B] != N) return false;
  for (int64_t i = 0; i < B; ++i)
    if (offsets[i + 1] < offsets[i] || offsets[i + 1] - offsets[i] < min_length) return false;
  return true;
}

// Whether all of indices (N,) are in [0, R).
template <class Index>
bool are_indices(const Index* indices, int64_t N, int64_t R) {
  return std::all_of(indices, indices + N, [=](Index index) { return index >= 0 && index < R; });
}

}  // namespace textrnn
