// The kernels for AMX with 8-bit integers: those for AVX-512, and a tile unit for products of many rows.
#include "targets/host/kernels/kernels.h"
#include "targets/host/kernels/matmul_amx.h"

namespace lockstep::targets::host {

// Rows of x from which on expanding the weights for the tile unit pays (NUMERICS.md, "What it costs").
static constexpr uint32_t kTileUnitRowsMin = 25;

static void matmul(const MatMulArguments& arguments) {
  if (arguments.rows < kTileUnitRowsMin) return avx512_kernels().matmul(arguments);
  TileMatMul<AmxTileUnit>::run(arguments);
}

const KernelTable& amx_kernels() {
  static const KernelTable table = [] {
    KernelTable amx = avx512_kernels();
    amx.name = "amx";
    amx.matmul = matmul;
    amx.multiply_peak = TileMatMul<AmxTileUnit>::multiply_peak;
    return amx;
  }();
  return table;
}

}  // namespace lockstep::targets::host
