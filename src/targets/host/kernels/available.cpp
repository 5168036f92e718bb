#include "base/cpu_features.h"
#include "targets/host/kernels/kernels.h"

namespace lockstep::targets::host {

std::vector<const KernelTable*> available_kernels() {
  std::vector<const KernelTable*> tables = {&scalar_kernels()};
#if defined(__x86_64__)
  if (cpu_features().avx2) tables.push_back(&avx2_kernels());
  if (cpu_features().avx512_vnni) tables.push_back(&avx512_kernels());
  if (cpu_features().amx_int8) tables.push_back(&amx_kernels());
#elif defined(__aarch64__)
  if (cpu_features().neon_dot) tables.push_back(&neon_kernels());
#endif
  return tables;
}

}  // namespace lockstep::targets::host
