#include "program/program.h"

namespace lockstep::program {

const Asset* Program::find_asset(std::string_view name) const {
  for (const Asset& asset : assets) {
    if (asset.name == name) return &asset;
  }
  return nullptr;
}

const Entry& Program::entry(std::string_view name) const {
  for (const Entry& candidate : entries) {
    if (candidate.name == name) return candidate;
  }
  user_error("{}: the program has no entry named {}", model_name, name);
}

const Matrix* Program::find_matrix(std::string_view name) const {
  for (const Matrix& matrix : matrices) {
    if (matrix.name == name) return &matrix;
  }
  return nullptr;
}

const Parameter& Program::parameter(std::string_view name) const {
  for (const Parameter& candidate : parameters) {
    if (candidate.name == name) return candidate;
  }
  user_error("{}: the program has no launch parameter named {}", model_name, name);
}

uint64_t region_bytes(const Program& program, const Region& region) {
  const uint64_t rows = region.rows == RowCount::One ? 1 : program.parameter("rows").max;
  return rows * region.row_bytes;
}

}  // namespace lockstep::program
