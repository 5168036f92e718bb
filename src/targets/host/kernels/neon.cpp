// The kernels for NEON with the dot product.
#include "targets/host/kernels/kernels.h"
#include "targets/host/kernels/matmul_neon.h"
#include "targets/host/kernels/vector_attention.h"
#include "targets/host/kernels/vector_neon.h"

namespace lockstep::targets::host {

const KernelTable& neon_kernels() {
  static constexpr KernelTable table = {
      .name = "neon",
      .quantise = quantise<Neon>,
      .norm_quantise = norm_quantise<Neon>,
      .gate_quantise = gate_quantise<Neon>,
      .quantise_head = quantise_head<Neon>,
      .attention_scores = attention_scores<Neon>,
      .attention_weigh = attention_weigh<Neon>,
      .attention_values = attention_values<Neon>,
      .attention_finish = attention_finish<Neon>,
      .matmul = matmul<MatMulNeon>,
      .multiply_peak = MatMulNeon::multiply_peak,
      .rope = rope<Neon>,
      .rope_angles = rope_angles<Neon>,
      .exp2 = exp2_array<Neon>,
      .ln = ln_array<Neon>,
      .ln1m = ln1m_array<Neon>,
      .cos_sin = cos_sin_array<Neon>,
  };
  return table;
}

}  // namespace lockstep::targets::host
