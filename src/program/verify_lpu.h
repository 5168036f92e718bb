// What isa/lpu.h adds to the checks of verify.h.
#pragma once

#include <string>

#include "program/program.h"

namespace lockstep::program {

// REQUIRES the generic checks of verify_structure. Every instruction belongs to its queue's unit, a memory to
// one queue, a Repeat repeats something and moves no row past its memory. Throws a user's error that names
// `what` and the place.
void verify_lpu_structure(const Program& program, const std::string& what);

// Every row that a queue reads is of a File, Input or State memory or was written by that queue before; what
// a Gather reads, by any Write or Scatter. Nothing writes a File or Input memory.
void verify_lpu_flow(const Program& program, const Queue& queue, const std::string& what);

}  // namespace lockstep::program
