// The machine files of the project, compiled in.
#pragma once

#include <span>
#include <string_view>

namespace lockstep::machine {

struct MachineText {
  std::string_view name, text;
};
std::span<const MachineText> machine_texts();

}  // namespace lockstep::machine
