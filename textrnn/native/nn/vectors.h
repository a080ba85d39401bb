// Vectors of floats, as wide as the registers of the instruction set. Files that are compiled for one instruction set
// include it, as float_types.h. A kernel is a template over F: Floats for whole vectors, float for the columns that
// remain, and for compilers without vector types.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "compiler.h"
#include "nn/float_types.h"

namespace textrnn {
namespace {

#if defined(__GNUC__)
#if defined(__AVX512F__)
#define TEXTRNN_LANES 16
#elif defined(__AVX2__)
#define TEXTRNN_LANES 8
#else
#define TEXTRNN_LANES 4
#endif
typedef float Floats __attribute__((vector_size(4 * TEXTRNN_LANES)));
typedef uint32_t Bits __attribute__((vector_size(4 * TEXTRNN_LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * TEXTRNN_LANES)));

INLINE Bits bits_of(Floats x) { return (Bits)x; }
INLINE Floats float_of(Bits bits) { return (Floats)bits; }

// x, but `limit` where that is greater, or less; keeps NaN.
#if defined(__AVX512F__)
INLINE Floats at_least(float limit, Floats x) { return _mm512_max_ps(limit + Floats{}, x); }
INLINE Floats at_most(float limit, Floats x) { return _mm512_min_ps(limit + Floats{}, x); }
#elif defined(__AVX2__)
INLINE Floats at_least(float limit, Floats x) { return _mm256_max_ps(limit + Floats{}, x); }
INLINE Floats at_most(float limit, Floats x) { return _mm256_min_ps(limit + Floats{}, x); }
#else
INLINE Floats at_least(float limit, Floats x) { return limit > x ? limit + Floats{} : x; }
INLINE Floats at_most(float limit, Floats x) { return limit < x ? limit + Floats{} : x; }
#endif
#else
using Floats = float;
#endif

INLINE float at_least(float limit, float x) { return limit > x ? limit : x; }
INLINE float at_most(float limit, float x) { return limit < x ? limit : x; }

template <class F>
constexpr int64_t kLanesOf = int64_t(sizeof(F) / sizeof(float));

// F of the numbers at an address, and back; F is named, since the address tells only the element.
template <class F>
struct Access {
  static F load(const float* at) {
    F x;
    std::memcpy(&x, at, sizeof x);
    return x;
  }
  static void store(float* at, F x) { std::memcpy(at, &x, sizeof x); }
#if defined(__GNUC__)
  static F load(const BFloat16* at) {
    Halves halves;
    std::memcpy(&halves, at, sizeof halves);
    return float_of(__builtin_convertvector(halves, Bits) << 16);
  }
  static void store(BFloat16* at, F x) {
    const Bits bits = bits_of(x);
    const Bits rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const Bits nan = (bits >> 16) | 0x40u;
    const Halves halves = __builtin_convertvector((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded, Halves);
    std::memcpy(at, &halves, sizeof halves);
  }
#endif
};

template <>
struct Access<float> {
  static float load(const float* at) { return *at; }
  static float load(const BFloat16* at) { return textrnn::load(*at); }
  template <class T>
  static void store(T* at, float x) {
    textrnn::store(*at, x);
  }
};

// Calls step(d, F()) for the columns d of 0 to n - 1, a vector at a time and then one by one.
template <class Step>
INLINE void for_columns(int64_t n, const Step& step) {
  int64_t d = 0;
  for (; d + kLanesOf<Floats> <= n; d += kLanesOf<Floats>) step(d, Floats());
  for (; d < n; ++d) step(d, float());
}

}  // namespace
}  // namespace textrnn
