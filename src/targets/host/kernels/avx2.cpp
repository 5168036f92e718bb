// The kernels for AVX2 with FMA.
#include "targets/host/kernels/kernels.h"
#include "targets/host/kernels/matmul_avx2.h"
#include "targets/host/kernels/vector_attention.h"
#include "targets/host/kernels/vector_avx2.h"

namespace lockstep::targets::host {

const KernelTable& avx2_kernels() {
  static constexpr KernelTable table = {
      .name = "avx2",
      .quantise = quantise<Avx2>,
      .norm_quantise = norm_quantise<Avx2>,
      .gate_quantise = gate_quantise<Avx2>,
      .quantise_head = quantise_head<Avx2>,
      .attention_scores = attention_scores<Avx2>,
      .attention_weigh = attention_weigh<Avx2>,
      .attention_values = attention_values<Avx2>,
      .attention_finish = attention_finish<Avx2>,
      .matmul = matmul<MatMulAvx2>,
      .multiply_peak = MatMulAvx2::multiply_peak,
      .rope = rope<Avx2>,
      .rope_angles = rope_angles<Avx2>,
      .exp2 = exp2_array<Avx2>,
      .ln = ln_array<Avx2>,
      .ln1m = ln1m_array<Avx2>,
      .cos_sin = cos_sin_array<Avx2>,
  };
  return table;
}

}  // namespace lockstep::targets::host
