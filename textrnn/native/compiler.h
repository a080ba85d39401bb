// Differences between compilers.
#pragma once

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

#if defined(_MSC_VER)
#define RESTRICT __restrict
#define INLINE static __forceinline
#define PREFETCH(address)
#else
#define RESTRICT __restrict__
#define INLINE static inline __attribute__((always_inline))
#define PREFETCH(address) __builtin_prefetch(address)
#endif

#if defined(__clang__)
#define VECTORISE _Pragma("clang loop vectorize(assume_safety) interleave(enable)")
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define VECTORISE _Pragma("GCC ivdep")
#define UNROLL _Pragma("GCC unroll 16")
#else
#define VECTORISE
#define UNROLL
#endif

// The name of a table of functions compiled for the instruction set TEXTRNN_LEVEL.
#define TEXTRNN_JOIN(a, b) a##b
#define TEXTRNN_SYMBOL(prefix, level) TEXTRNN_JOIN(prefix, level)
