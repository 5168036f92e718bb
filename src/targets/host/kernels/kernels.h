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

// What a block of attention knows of one of its queries. NUMERICS.md section 8.
struct AttentionQuery {
  float scale = 0;          // qs * c
  float largest = 0;        // M
  int32_t weight_bits = 0;  // the largest e_t * vs_t, as bits
  bool fits = true;         // q is in the contract's range; else the output is a zero vector
  int64_t total = 0;        // L
};

// The most queries of an AttentionBlock.
inline constexpr uint32_t kBlockQueries = 48;

// Queries that share a KV head, against the positions of whole pages. Query i is head i % heads of row
// i / heads; the rows are successive positions of one sequence, and row r sees positions 0..position + r.
// The steps attention_* run in their order. Whoever cuts the positions into several blocks gives all of
// them, between the steps, the largest of `largest`, then the largest of `weight_bits` and the sum of
// `total`, then the sums of `sums`.
struct AttentionBlock {
  const float* q = nullptr;  // the heads of a row side by side, head_width elements each, after RoPE
  uint64_t q_row_floats = 0;
  float* out = nullptr;  // likewise, value_width elements each
  uint64_t out_row_floats = 0;
  uint32_t rows = 0, heads = 0;
  uint32_t position = 0;                    // of row 0
  const std::byte* const* pages = nullptr;  // the sequence's pages, in order
  uint32_t page_begin = 0, page_end = 0;    // of the sequence
  const program::isa::KvLayout* kv = nullptr;
  uint32_t layer = 0, kv_head = 0;
  float scale_log2 = 0;  // c = scale * LOG2E
  // Scratch that lives from step to step, 64-byte aligned.
  AttentionQuery* queries = nullptr;  // [queries]
  int16_t* planes = nullptr;          // [queries][2 * head_width]
  float* weights = nullptr;           // [pages][queries][64]
  double* sums = nullptr;             // [queries][value lanes], integers

  uint32_t count() const { return rows * heads; }
};

struct KernelTable {
  const char* name;  // "scalar", "avx2", "avx512", "amx", "neon"

  // The functions that return bool return false where a vector leaves the contract's range (Q16's error);
  // what they then write is a zero vector.

  // out = Q16(x), in Q16Layout(n).
  bool (*quantise)(const float* x, uint64_t n, std::byte* out);
  // out = Q16(RMSNorm(x) * gain). `scratch` holds padded n floats.
  bool (*norm_quantise)(const float* x, const float* gain, float eps, uint64_t n, float* scratch,
                        std::byte* out);
  // out = Q16(silu(gate) * up). `scratch` holds padded n floats.
  bool (*gate_quantise)(const float* gate, const float* up, uint64_t n, float* scratch, std::byte* out);
  // Quantises one head of k or v (n elements) with `levels` (32512 or 127) into a (n elements).
  bool (*quantise_head)(const float* x, uint64_t n, int32_t levels, int16_t* a, float* scale);

  // Quantises the queries; z_t of the block's positions into weights; sets scale, fits and largest.
  void (*attention_scores)(const AttentionBlock& block);
  // e_t * vs_t into weights; sets total and weight_bits to those of the block's positions.
  void (*attention_weigh)(const AttentionBlock& block);
  // sum_t ca_t * va_t of the block's positions into sums.
  void (*attention_values)(const AttentionBlock& block);
  // The outputs of the queries [begin, end).
  void (*attention_finish)(const AttentionBlock& block, uint32_t begin, uint32_t end);

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
