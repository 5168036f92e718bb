// What this machine's CPU and operating system offer, asked once.
#pragma once

namespace lockstep {

struct CpuFeatures {
  bool avx2 = false;         // AVX2 with FMA
  bool avx512_vnni = false;  // AVX-512 F, BW, DQ, VL and VNNI
  bool neon_dot = false;     // NEON with the dot product
  bool amx_int8 = false;     // AVX-512 as above and AMX tiles of 8-bit integers, which this process may use
};

const CpuFeatures& cpu_features();

}  // namespace lockstep
