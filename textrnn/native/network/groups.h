// Groups of neighboring texts, each the task of a thread.
#pragma once

#include <cstdint>
#include <vector>

namespace textrnn {

constexpr int64_t kGroupTokens = 64;  // of a group, at least: its rows stay in the second-level cache between layers

// The bounds of groups of texts; they depend on the lengths alone.
inline std::vector<int64_t> group_texts(const int64_t* offsets, int64_t B) {
  std::vector<int64_t> bounds = {0};
  for (int64_t i = 1; i < B; ++i)
    if (offsets[i] - offsets[bounds.back()] >= kGroupTokens) bounds.push_back(i);
  if (B) bounds.push_back(B);
  return bounds;
}

}  // namespace textrnn
