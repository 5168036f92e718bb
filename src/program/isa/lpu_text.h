// How the parts of an LPU instruction are written: a stream "e4" (east) or "w12" (west), an operand "alu3",
// "e4" (a word), "e4.i8", "w2.i16", "w2.u8", "imm" or "-".
#pragma once

#include <string>

#include "program/isa/lpu.h"

namespace lockstep::program::isa {

std::string stream_text(uint64_t stream);
std::string operand_text(Operand operand);

}  // namespace lockstep::program::isa
