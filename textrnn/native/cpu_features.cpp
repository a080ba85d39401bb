#include "cpu_features.h"

#if defined(TEXTRNN_X86)
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#if defined(TEXTRNN_AMX)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace textrnn {

#if defined(_MSC_VER)
bool has_avx2() {
  int info[4];
  __cpuid(info, 1);
  const bool enabled = (info[2] & (1 << 27)) && (_xgetbv(0) & 0x6) == 0x6, fma = info[2] & (1 << 12);
  __cpuidex(info, 7, 0);
  return enabled && fma && (info[1] & (1 << 5));
}
bool has_avx512() {
  if (!has_avx2() || (_xgetbv(0) & 0xe6) != 0xe6) return false;
  int info[4];
  __cpuidex(info, 7, 0);
  const int needed = (1 << 16) | (1 << 17) | (1 << 30) | int(1u << 31);  // f, dq, bw, vl
  return (info[1] & needed) == needed;
}
bool has_bfloat16() { return false; }  // their kernels are not compiled by MSVC
bool has_amx() { return false; }
bool has_int8() { return false; }
#else
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
bool has_bfloat16() {
  unsigned a, b, c, d;
  return has_avx512() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5));
}
#if defined(TEXTRNN_AMX)
namespace {
bool find_amx() {
  constexpr unsigned kNeeded = 1u << 22 | 1u << 24 | 1u << 25;  // bf16, tile, int8
  constexpr long kRequest = 0x1023, kTileData = 18;             // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a, b, c, d;
  return has_bfloat16() && has_int8() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kNeeded) == kNeeded &&
         syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}
}  // namespace

bool has_amx() {
  static const bool found = find_amx();
  return found;
}
#else
bool has_amx() { return false; }
#endif
bool has_int8() {
  unsigned a, b, c, d;
  return has_avx512() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & (1u << 11));
}
#endif

}  // namespace textrnn
#endif
