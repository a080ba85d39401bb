// Instructions that the processor supports.
#pragma once

namespace textrnn {

#if defined(TEXTRNN_X86)
bool has_avx2();      // and FMA
bool has_avx512();    // F, DQ, BW and VL, and all of AVX2
bool has_bfloat16();  // AVX-512 BF16
bool has_amx();       // tiles of bfloat16 and int8, compiled and allowed by the system, which is asked
bool has_int8();      // AVX-512 VNNI
#endif

}  // namespace textrnn
