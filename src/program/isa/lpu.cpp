#include "program/isa/lpu.h"

namespace lockstep::program::isa {

const InstructionSet& lpu() {
  static constexpr InstructionSet set = {"lpu", 1, 320, {}};
  return set;
}

}  // namespace lockstep::program::isa
