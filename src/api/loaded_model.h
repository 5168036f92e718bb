// A model ready to run, from a GGUF file (compiled, or taken from the cache) or a compiled program.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/file.h"
#include "compiler/compile.h"
#include "graph/graph.h"
#include "import/checkpoint.h"
#include "program/program.h"
#include "targets/host/host_target.h"
#include "text/tokenizer.h"

namespace lockstep::api {

struct LoadOptions {
  std::optional<numerics::WeightVariant> weights;  // nothing: faithful, or what a program was compiled with
  std::optional<uint32_t> kv_bits;                 // nothing: 16, or what a program was compiled with
  bool use_cache = true;                           // keep and reuse the compiled form of a GGUF file
  // Told how far long work is: what, steps done, steps in all. Called by the loading thread.
  std::function<void(const std::string& what, uint64_t done, uint64_t total)> progress;
  // Told of things that are not errors: an unwritable cache, a damaged entry that is rebuilt.
  std::function<void(const std::string& message)> warn;
};

// A program with the memory behind it. OWNS both; movable.
struct LoadedProgram {
  std::string path;                     // what the user named
  MappedFile file;                      // behind a program read from a file
  compiler::CompiledProgram compiled;   // behind one compiled just now
  program::Program program;
  Hash256 program_hash{};
  uint64_t program_bytes = 0;
};

// Reads or compiles. Throws a user's error for files that are neither or that contradict the options.
LoadedProgram load_program(const std::filesystem::path& path, const LoadOptions& options);

// The graph of a GGUF file with its checkpoint; for the interpreter and inspection.
struct LoadedGraph {
  importer::Checkpoint checkpoint;
  graph::Graph graph;  // views the checkpoint's map
};
std::unique_ptr<LoadedGraph> load_graph(const std::filesystem::path& path, const LoadOptions& options);

text::Tokenizer load_tokenizer(const program::Program& program);

}  // namespace lockstep::api
