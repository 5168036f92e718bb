// What can be proved of a program without running it. A program that does not verify does not run.
#pragma once

#include <string>

#include "program/program.h"

namespace lockstep::program {

// Every name, index, count and extent: the instruction set and its opcodes are known, every field is inside
// its range, every region and matrix inside its memory. Throws a user's error that names `what` and the
// place.
void verify_structure(const Program& program, const std::string& what);

// The flow of data through each queue of a host program, REQUIRES verify_structure: every read is of
// something written before and not overwritten by another region since, and no two workers meet in a region
// without a Sync between. Of an LPU program it proves nothing: the simulator stops where a value is not
// there.
void verify_flow(const Program& program, const std::string& what);

// The bounds of NUMERICS.md section 3 for every weight: |w| <= 32512, the L1 norm of each row, sw at least
// 2^-44 or zero with w. Reads all weights.
void verify_weights(const Program& program, const std::string& what);

}  // namespace lockstep::program
