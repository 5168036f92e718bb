// A unit of eight tiles of 16 rows of 64 bytes (AMX): the CPU's own, and the same in plain C++ for tests on
// every machine. Semantics: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBSSD
// and tile loads. All tiles have their full size.
//
//   zero<T>()               every byte 0
//   load<T>(p, stride)      rows from p on, `stride` bytes apart
//   store<T>(p, stride)     the same way back
//   add_products<S, A, B>() S[m][n] += sum over k < 16, i < 4 of A[m][4k + i] * B[k][4n + i]; S holds int32
//   and
//                           wraps, A and B hold int8
//
// A unit belongs to one thread from its construction to its end; there is one at a time.
#pragma once

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/force_inline.h"

namespace lockstep::targets::host {

inline constexpr uint32_t kTileRows = 16;
inline constexpr uint32_t kTileRowBytes = 64;
inline constexpr uint32_t kTileBytes = kTileRows * kTileRowBytes;

class EmulatedTileUnit {
 public:
  template <int kTile>
  void zero() {
    std::memset(tiles_[kTile], 0, kTileBytes);
  }
  template <int kTile>
  void load(const void* p, uint64_t stride) {
    for (uint32_t row = 0; row < kTileRows; ++row) {
      std::memcpy(tiles_[kTile][row], static_cast<const char*>(p) + row * stride, kTileRowBytes);
    }
  }
  template <int kTile>
  void store(void* p, uint64_t stride) {
    for (uint32_t row = 0; row < kTileRows; ++row) {
      std::memcpy(static_cast<char*>(p) + row * stride, tiles_[kTile][row], kTileRowBytes);
    }
  }
  template <int kSum, int kA, int kB>
  void add_products() {
    for (uint32_t m = 0; m < kTileRows; ++m) {
      uint32_t sums[kTileRowBytes / 4];
      std::memcpy(sums, tiles_[kSum][m], kTileRowBytes);
      for (uint32_t k = 0; k < kTileRows; ++k) {
        for (uint32_t n = 0; n < kTileRowBytes / 4; ++n) {
          for (uint32_t i = 0; i < 4; ++i) {
            const int32_t product = int32_t{tiles_[kA][m][4 * k + i]} * tiles_[kB][k][4 * n + i];
            sums[n] += static_cast<uint32_t>(product);
          }
        }
      }
      std::memcpy(tiles_[kSum][m], sums, kTileRowBytes);
    }
  }

 private:
  int8_t tiles_[8][kTileRows][kTileRowBytes] = {};
};

#if defined(__x86_64__)
// The CPU's tiles; only where cpu_features().amx_int8. Written as assembly, because g++'s intrinsics take
// literal tile numbers alone and hide from the compiler what their configuration reads.
class AmxTileUnit {
 public:
  LOCKSTEP_FORCE_INLINE AmxTileUnit() {
    Configuration configuration = {};
    configuration.palette = 1;
    for (int tile = 0; tile < 8; ++tile) {
      configuration.row_bytes[tile] = kTileRowBytes;
      configuration.rows[tile] = kTileRows;
    }
    asm volatile("ldtilecfg %0" : : "m"(configuration));
  }
  LOCKSTEP_FORCE_INLINE ~AmxTileUnit() { asm volatile("tilerelease"); }
  AmxTileUnit(const AmxTileUnit&) = delete;
  AmxTileUnit& operator=(const AmxTileUnit&) = delete;

  template <int kTile>
  LOCKSTEP_FORCE_INLINE void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  template <int kTile>
  LOCKSTEP_FORCE_INLINE void load(const void* p, uint64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  LOCKSTEP_FORCE_INLINE void store(void* p, uint64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kSum, int kA, int kB>
  LOCKSTEP_FORCE_INLINE void add_products() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
  }

 private:
  struct alignas(64) Configuration {
    uint8_t palette;
    uint8_t start_row;
    uint8_t reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };
  static_assert(sizeof(Configuration) == 64);
};
#endif

}  // namespace lockstep::targets::host
