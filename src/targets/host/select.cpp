#include "targets/host/host_target.h"
#include "targets/host/kernels/kernels.h"
#include "targets/host/topology.h"

namespace lockstep::targets::host {

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const KernelTable* table : available_kernels()) names.push_back(table->name);
  return names;
}

const KernelTable& select_kernels(const std::string& isa) {
  const std::vector<const KernelTable*> tables = available_kernels();
  if (isa.empty()) return *tables.back();
  for (const KernelTable* table : tables) {
    if (isa == table->name) return *table;
  }
  const std::string names = fmt::format("{}", fmt::join(available_isas(), ", "));
  if (isa == "avx2" || isa == "avx512" || isa == "amx" || isa == "neon")
    user_error("--isa {}: this CPU does not have it; possible here: {}", isa, names);
  user_error("--isa {}: no such instruction set; possible here: {}", isa, names);
}

uint32_t default_workers() {
  return usable_cores();
}

}  // namespace lockstep::targets::host
