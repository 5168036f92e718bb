#include "api/loaded_model.h"

#include <thread>

#include "api/model_assets.h"
#include "import/gguf.h"
#include "models/models.h"
#include "program/encode.h"
#include "program/isa/isa.h"
#include "program/verify.h"

namespace lockstep::api {

namespace {

graph::NumericOptions numeric_options(const LoadOptions& options) {
  graph::NumericOptions numeric;
  numeric.weights = options.weights.value_or(numerics::WeightVariant::Faithful);
  numeric.kv_bits = options.kv_bits.value_or(16);
  return numeric;
}

compiler::CompileOptions compile_options(const LoadOptions& options) {
  compiler::CompileOptions result;
  result.progress = options.progress;
  return result;
}

// Refuses options that a compiled program cannot take on any more.
void require_variant(const program::Program& program, const LoadOptions& options, const std::string& path) {
  if (options.weights && numerics::weight_variant_name(*options.weights) != program.weight_variant) {
    user_error("{}: was compiled with --weights {}; compile the model file again for --weights {}", path, program.weight_variant,
               numerics::weight_variant_name(*options.weights));
  }
  if (options.kv_bits && *options.kv_bits != program.state.kv_bits) {
    user_error("{}: was compiled with --kv {}; compile the model file again for --kv {}", path, program.state.kv_bits,
               *options.kv_bits);
  }
}

LoadedProgram open_program(MappedFile file, const LoadOptions& options) {
  LoadedProgram loaded;
  loaded.path = file.path().string();
  loaded.program = program::decode(file.bytes(), loaded.path);
  if (loaded.program.isa != program::isa::host().name) {
    user_error("{}: was compiled for {}; this command runs programs for the host", loaded.path, loaded.program.isa);
  }
  require_variant(loaded.program, options, loaded.path);
  program::check_leaves(file.bytes(), loaded.path, targets::host::default_workers());
  program::verify_flow(loaded.program, loaded.path);
  loaded.program_hash = program::program_hash(file.bytes());
  loaded.program_bytes = file.bytes().size();
  loaded.file = std::move(file);
  return loaded;
}

}  // namespace

std::unique_ptr<LoadedGraph> load_graph(const std::filesystem::path& path, const LoadOptions& options) {
  auto loaded = std::make_unique<LoadedGraph>();
  loaded->checkpoint = importer::read_gguf(path);
  loaded->graph = models::build_graph(loaded->checkpoint, numeric_options(options));
  return loaded;
}

LoadedProgram load_program(const std::filesystem::path& path, const LoadOptions& options) {
  MappedFile file(path);
  if (program::looks_like_program(file.bytes())) return open_program(std::move(file), options);
  const std::unique_ptr<LoadedGraph> source = load_graph(path, options);
  LoadedProgram loaded;
  loaded.path = path.string();
  loaded.compiled =
      compiler::compile_for_host(source->graph, import_assets(source->checkpoint.metadata), compile_options(options));
  loaded.program = loaded.compiled.program;
  return loaded;
}

text::Tokenizer load_tokenizer(const program::Program& program) {
  const program::Asset* asset = program.find_asset(kTokenizerAsset);
  if (asset == nullptr) user_error("{}: the program carries no tokenizer", program.model_name);
  return text::Tokenizer(text::decode_vocabulary(asset->bytes, program.model_name));
}

}  // namespace lockstep::api
