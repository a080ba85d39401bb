// Reading and writing float32 and bfloat16. Files that are compiled for one instruction set include it: nothing here
// has external linkage.
#pragma once

#include <cstdint>
#include <cstring>

#include "compiler.h"

namespace textrnn {
namespace {

struct BFloat16 {
  uint16_t bits;
};

INLINE uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

INLINE float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

INLINE float load(const float& x) { return x; }
INLINE float load(const BFloat16& x) { return float_of(uint32_t(x.bits) << 16); }

INLINE void store(float& to, float x) { to = x; }
INLINE void store(BFloat16& to, float x) {
  const uint32_t bits = bits_of(x);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;  // to nearest, ties to even
  const uint32_t nan = (bits >> 16) | 0x40u;                              // rounding could carry a NaN to infinity
  to.bits = uint16_t((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

}  // namespace
}  // namespace textrnn
