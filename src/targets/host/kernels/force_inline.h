// For code that is compiled with the instructions of one CPU: a copy of an inline function that stands in
// such an object file could be linked into callers meant for every CPU.
#pragma once

#define LOCKSTEP_FORCE_INLINE [[gnu::always_inline]] inline
