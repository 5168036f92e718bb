// Measures what a step can at best be: how fast the threads of a target read, multiply and meet.
#pragma once

#include "base/memory.h"
#include "cli/step_parts.h"
#include "targets/host/host_target.h"

namespace lockstep::cli {

// A buffer to be read in huge pages, every page touched.
AlignedBuffer make_stream_buffer(uint64_t bytes);

// Bytes a second with which the target's workers read the buffer several times, each its own part, in four
// streams, which is faster than one.
double stream_bandwidth(targets::host::HostTarget& target, const AlignedBuffer& buffer);

// Everything, in about 0.1 s beside the reading of `buffer`.
MachineLimits measure_limits(targets::host::HostTarget& target, const AlignedBuffer& buffer);

}  // namespace lockstep::cli
