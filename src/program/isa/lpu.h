// The LPU instruction set: what the queues of a Groq-style chip execute. A queue belongs to one unit; its
// instructions issue one after another, a cycle each, and hold no absolute time (NOP and Repeat do the
// waiting). Opcodes and units: Abts et al., "Think Fast: A Tensor Streaming Processor (TSP) for Accelerating
// Deep Learning Workloads", ISCA 2020, Table I.
#pragma once

#include "program/isa/isa.h"
