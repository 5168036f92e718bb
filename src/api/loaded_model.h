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
#include "targets/lpu/lpu_target.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lockstep::api {

struct LoadOptions {
  std::optional<numerics::WeightVariant> weights;  // nothing: faithful, or what a program was compiled with
  std::optional<uint32_t> kv_bits;                 // nothing: 16, or what a program was compiled with
  // "host", or an LPU: a name or file that machine::find_machine knows. For LPUs: how many chips, and the
  // positions to make room for; 0: as few and as many as are sensible.
  std::string machine = "host";
  uint32_t chips = 0;
  uint32_t chip_context = 0;
  uint32_t tensor_parallel = 0;  // chips that share every matrix; 0: as is fastest
  uint32_t chip_rows = 8;        // of a prompt or a draft that go through LPUs together
  bool use_cache = true;         // keep and reuse the compiled form of a GGUF file
  // Told how far long work is: what, steps done, steps in all. Called by the loading thread.
  std::function<void(const std::string& what, uint64_t done, uint64_t total)> progress;
  // Told of things that are not errors: an unwritable cache, a damaged entry that is rebuilt. Also called
  // later, by the engine's thread or the one that writes kept prefixes.
  std::function<void(const std::string& message)> warn;
};

// A program with the memory behind it. OWNS both; movable.
struct LoadedProgram {
  std::string path;                    // what the user named
  AlignedBuffer bytes;                 // behind a program read from a file: the whole file
  compiler::CompiledProgram compiled;  // behind one compiled just now
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

// The graph compiled for the options' machine.
compiler::CompiledProgram compile_graph(graph::Graph& graph, std::vector<program::Asset> assets,
                                        const LoadOptions& options);

// The compiled form of a GGUF file, whole, with its weights verified against the contract's bounds.
std::vector<std::byte> compile_file(const std::filesystem::path& path, const LoadOptions& options);

// The host target with the options checked against the program: a context beyond the model's is a user's
// error; 0 means the model's, at most kDefaultContext.
inline constexpr uint32_t kDefaultContext = 8192;
inline constexpr uint32_t kWorkersMax = 256;
std::unique_ptr<targets::host::HostTarget> load_target(const program::Program& program,
                                                       const targets::host::HostOptions& options);
std::string kernels_name(const targets::host::HostTarget& target);

// The machine that a program for LPUs was compiled for: its file is an asset of the program.
machine::Machine program_machine(const program::Program& program);
// Its chips, simulated, with the context checked as above; 0 means what the program was compiled for.
std::unique_ptr<targets::lpu::LpuTarget> load_chips(const program::Program& program, uint32_t context);

text::Tokenizer load_tokenizer(const program::Program& program);
// Nothing where the model has no template.
std::optional<text::ChatTemplate> load_chat_template(const program::Program& program);

// "faithful" or "int8"; throws a user's error for anything else.
numerics::WeightVariant parse_weight_variant(const std::string& name);

}  // namespace lockstep::api
