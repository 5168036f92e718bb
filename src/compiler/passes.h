// The passes of the compiler for the host, in the order in which compile.cpp calls them. Each takes the
// program so far and adds its part.
#pragma once

#include "compiler/compile.h"

namespace lockstep::compiler {

// Declares memories, launch parameters, state and the matrices' shapes.
void declare(const graph::Graph& graph, const CompileOptions& options, program::Program& program);

// Chooses instructions for the nodes, fusing what one instruction does in one go, with regions that have no
// place yet. Throws an internal error for a graph that the host has no instructions for.
void lower(const graph::Graph& graph, program::Program& program);

// Gives every region its place: regions whose lives do not meet share memory.
void place(program::Program& program);

// Puts a Sync wherever data crosses workers.
void synchronise(program::Program& program);

// Packs weights into panels, and gains, biases and RoPE's turns into constants; records each matrix's error.
void pack(const graph::Graph& graph, const CompileOptions& options, CompiledProgram& compiled);

// The memories that every host program has, by index.
enum HostMemory : uint32_t { kWeights, kConstants, kActivations, kPrivate, kKv, kInput, kOutput };

}  // namespace lockstep::compiler
