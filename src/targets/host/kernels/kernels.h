// The host's kernels: one table of functions for each instruction set of the CPU. Every table computes the
// contract's bits (NUMERICS.md); they are tested against the reference bit for bit and differ in speed alone.
// A kernel knows addresses and extents of its own share; it neither allocates, waits nor throws.
#pragma once

#include <cstdint>
#include <vector>

#include "program/isa/host_kv.h"
#include "program/isa/host_panels.h"
#include "program/isa/host_q16.h"

namespace lockstep::targets::host {

using program::isa::Q16Layout;

// A share of a matrix product: rows of x against panels [panel_begin, panel_end).
// y[m][r] = f32(sum_k w[r][k] * a_m[k]) * (sw[r] * s_m), then + bias[r] where there is a bias, then
// y[m][r] = y_before + that where `add`. Rows past layout.rows are not written.
struct MatMulArguments {
  const std::byte* x = nullptr;  // Q16 rows, x_row_bytes apart
  uint64_t x_row_bytes = 0;
  float* y = nullptr;  // rows y_row_floats apart
  uint64_t y_row_floats = 0;
  uint32_t rows = 0;  // M
  program::isa::PanelLayout layout;
  const std::byte* panels = nullptr;
  const float* scales = nullptr;  // sw, padded to whole panels
  const float* bias = nullptr;
  bool add = false;
  uint64_t panel_begin = 0, panel_end = 0;
};

// One query head of one row against the cache.
struct AttentionArguments {
  const float* q = nullptr;                 // head_width elements, after RoPE
  float* out = nullptr;                     // value_width elements
  const std::byte* const* pages = nullptr;  // the sequence's pages, in order
  const program::isa::KvLayout* kv = nullptr;
  uint32_t layer = 0, kv_head = 0;
  uint32_t positions = 0;    // visible positions, from 0
  float scale_log2 = 0;      // c = scale * LOG2E
  float* weights = nullptr;  // scratch of `positions` rounded up to a page
};

struct KernelTable {
  const char* name;  // "scalar", "avx2", "avx512", "amx", "neon"

  // The functions below return false where a vector leaves the contract's range (Q16's error); what they
  // then write is a zero vector.

  // out = Q16(x), in Q16Layout(n).
  bool (*quantise)(const float* x, uint64_t n, std::byte* out);
  // out = Q16(RMSNorm(x) * gain). `scratch` holds padded n floats.
  bool (*norm_quantise)(const float* x, const float* gain, float eps, uint64_t n, float* scratch,
                        std::byte* out);
  // out = Q16(silu(gate) * up). `scratch` holds padded n floats.
  bool (*gate_quantise)(const float* gate, const float* up, uint64_t n, float* scratch, std::byte* out);
  // Quantises one head of k or v (n elements) with `levels` (32512 or 127) into a (n elements).
  bool (*quantise_head)(const float* x, uint64_t n, int32_t levels, int16_t* a, float* scale);
  bool (*attention)(const AttentionArguments& arguments);

  void (*matmul)(const MatMulArguments& arguments);
  // Does `rounds` rounds of the instruction that matmul multiplies panels of `kind` with, on registers alone.
  // Returns how many products of a weight and an element of x as many instructions give in matmul: over the
  // time that it took, the bound of matmul's rate on one thread.
  uint64_t (*multiply_peak)(program::isa::PanelKind kind, uint64_t rounds);
  // Turns one head in place; cos and sin of each pair. `halves`: pairs are (i, i + pairs), else (2i, 2i+1).
  void (*rope)(float* head, const float* cos, const float* sin, uint32_t pairs, bool halves);
  // cos and sin of `pairs` turns at a position.
  void (*rope_angles)(const uint64_t* turns, uint32_t pairs, uint32_t position, float* cos, float* sin);

  // The functions of NUMERICS.md section 6 over arrays, for the check sums.
  void (*exp2)(const float* x, float* y, uint64_t n);
  void (*ln)(const float* x, float* y, uint64_t n);
  void (*ln1m)(const float* x, float* y, uint64_t n);
  void (*cos_sin)(const int32_t* h, float* cos, float* sin, uint64_t n);
};

// The tables that this build has and this CPU can run, the plainest first.
std::vector<const KernelTable*> available_kernels();

// The tables of this build; one that the CPU cannot run is among them.
const KernelTable& scalar_kernels();
#if defined(__x86_64__)
const KernelTable& avx2_kernels();
const KernelTable& avx512_kernels();
const KernelTable& amx_kernels();
#elif defined(__aarch64__)
const KernelTable& neon_kernels();
#endif

}  // namespace lockstep::targets::host
