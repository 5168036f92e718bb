// The user's error of a value outside the contract's range.
#pragma once

#include <string>

#include "base/error.h"
#include "program/program.h"

namespace lockstep::targets {

// NUMERICS.md section 2: names the operator, its layer and the position.
inline Error range_error(const program::Program& program, const std::string& node, int32_t layer,
                         uint64_t position) {
  return Error(
      ErrorKind::User,
      fmt::format("{}: {} (layer {}) leaves the range of the numerics at position {}: a magnitude of "
                  "2^32 or more",
                  program.model_name, node, layer, position));
}

}  // namespace lockstep::targets
