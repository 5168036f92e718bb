// LPU instructions as text. A queue is a heading and a line for each instruction with the cycle in which it
// issues, counted from the queue's start or its last sync or notify:
//
//   queue c0.mem.e.7 memory 3
//     0: sync
//     12: read row=40 out=e3 step=1 repeat 19 every 1     ; issues in 12, 13, ... 31
//     35: write row=60 in=w0
//
// A Nop is a gap between cycles; one that a gap would not give back (at the end of a queue, or split) has a
// line, `40: nop cycles=7`. Integers of zero are left out. Streams are e0 to e31 and w0 to w31. An operation
// of the VXM has its operands in order, then where its result goes:
//
//     71: imad alu0 #256 e4 -> w8.i8
//
// An operand is an ALU's last result, a stream (e4: the word from there on; e4.i8, e4.i16, e4.u8: narrower),
// or an immediate, decimal as the operation takes it (#1.5, #-3) or its bits (#0x3fc00000). The result goes
// to an eastward stream, a westward one or both, as a word or its low bytes (.i8, .i16).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "program/isa/lpu.h"
#include "program/program.h"

namespace lockstep::program::isa {

std::string stream_text(uint64_t stream);
std::string operand_text(Operand operand);  // an immediate is "imm"

// Both REQUIRE what verify_structure accepts. One instruction, without cycle and Repeat; a whole queue.
std::string instruction_text(const Instruction& instruction);
std::string print_timed(const Queue& queue);

// Throws a user's error that names `what`, the line and what would be right. What it gives back prints as the
// same queues; verify_structure may still refuse it.
std::vector<Queue> parse_timed(std::string_view text, const std::string& what);

}  // namespace lockstep::program::isa
