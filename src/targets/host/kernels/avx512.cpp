// The kernels for AVX-512 with VNNI.
#include "targets/host/kernels/attention_avx512.h"
#include "targets/host/kernels/kernels.h"
#include "targets/host/kernels/matmul_avx512.h"
#include "targets/host/kernels/vector_attention.h"
#include "targets/host/kernels/vector_avx512.h"

namespace lockstep::targets::host {

const KernelTable& avx512_kernels() {
  static constexpr KernelTable table = {
      .name = "avx512",
      .quantise = quantise<Avx512>,
      .norm_quantise = norm_quantise<Avx512>,
      .gate_quantise = gate_quantise<Avx512>,
      .quantise_head = quantise_head<Avx512>,
      .attention_scores = attention_scores<Avx512>,
      .attention_weigh = attention_weigh<Avx512>,
      .attention_values = attention_values<Avx512>,
      .attention_finish = attention_finish<Avx512>,
      .matmul = matmul<MatMulAvx512>,
      .multiply_peak = MatMulAvx512::multiply_peak,
      .rope = rope<Avx512>,
      .rope_angles = rope_angles<Avx512>,
      .exp2 = exp2_array<Avx512>,
      .ln = ln_array<Avx512>,
      .ln1m = ln1m_array<Avx512>,
      .cos_sin = cos_sin_array<Avx512>,
  };
  return table;
}

}  // namespace lockstep::targets::host
