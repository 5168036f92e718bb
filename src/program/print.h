// A program as text: its memories, regions, parameters and every instruction, generic over the instruction
// sets. Equal programs print equally.
#pragma once

#include <string>

#include "program/program.h"

namespace lockstep::program {

std::string print(const Program& program);

// One instruction: "matmul y=%blk.0.attn_q x=%blk.0.attn_norm.q16 weight=@blk.0.attn_q.weight".
std::string print_instruction(const Program& program, const Instruction& instruction);

}  // namespace lockstep::program
