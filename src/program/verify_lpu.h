// What isa/lpu.h adds to the checks of verify.h.
#pragma once

#include <string>

#include "program/program.h"

namespace lockstep::program {

// REQUIRES the generic checks of verify_structure. Queues are named by unit and execute that unit's opcodes
// only; a unit's name always goes with one memory and that memory with one name, and an entry names a unit
// once; a Repeat repeats something and moves nothing past its last row, group or entry; operands, streams and
// bytes of an operation of the VXM fit one another. Throws a user's error that names `what` and the place.
// Whether the machine has the unit, and what happens in which cycle, is the target's business.
void verify_lpu_structure(const Program& program, const std::string& what);

}  // namespace lockstep::program
