#include "api/loaded_model.h"

#include <sys/stat.h>

#include <chrono>

#include "api/model_assets.h"
#include "compiler/lpu/compile_lpu.h"
#include "import/gguf.h"
#include "machine/machine.h"
#include "models/models.h"
#include "program/encode.h"
#include "program/isa/isa.h"
#include "program/verify.h"
#include "store/atomic_file.h"
#include "store/cache.h"
#include "targets/host/kernels/kernels.h"

namespace lockstep::api {

namespace {

constexpr const char* kHost = "host";

graph::NumericOptions numeric_options(const LoadOptions& options) {
  graph::NumericOptions numeric;
  numeric.weights = options.weights.value_or(numerics::WeightVariant::Faithful);
  numeric.kv_bits = options.kv_bits.value_or(16);
  return numeric;
}

bool for_host(const LoadOptions& options) {
  return options.machine == kHost;
}

// Refuses options that a compiled program cannot take on any more.
void require_variant(const program::Program& program, const LoadOptions& options, const std::string& path) {
  if (options.weights && numerics::weight_variant_name(*options.weights) != program.weight_variant) {
    user_error("{}: was compiled with --weights {}; compile the model file again for --weights {}", path,
               program.weight_variant, numerics::weight_variant_name(*options.weights));
  }
  if (options.kv_bits && *options.kv_bits != program.state.kv_bits) {
    user_error("{}: was compiled with --kv {}; compile the model file again for --kv {}", path,
               program.state.kv_bits, *options.kv_bits);
  }
}

// Refuses a program that was compiled for something else than what is to run it.
void require_machine(const program::Program& program, const std::string& machine, const std::string& path) {
  const bool for_host = program.isa == program::isa::host().name;
  const std::string made_for = for_host ? kHost : program.machine;
  const std::string wanted = machine == kHost ? machine : machine::find_machine(machine).name;
  if (made_for != wanted) {
    user_error("{}: was compiled for {}, not for {}; --machine {} runs it", path, made_for, wanted, made_for);
  }
}

LoadedProgram open_program(const MappedFile& file, const LoadOptions& options) {
  LoadedProgram loaded;
  loaded.path = file.path().string();
  loaded.program = program::decode(file.bytes(), loaded.path);
  require_machine(loaded.program, options.machine, loaded.path);
  require_variant(loaded.program, options, loaded.path);
  program::verify_flow(loaded.program, loaded.path);
  loaded.bytes = program::read_checked(file, loaded.path, targets::host::default_workers());
  for (auto& [memory, bytes] : loaded.program.contents) {
    bytes = {loaded.bytes.data() + (bytes.data() - file.bytes().data()), bytes.size()};
  }
  loaded.program_hash = program::program_hash({loaded.bytes.data(), loaded.bytes.size()});
  loaded.program_bytes = loaded.bytes.size();
  return loaded;
}

// Names what a compiled form depends on: the file as it stands on disk, the options and the compiler.
std::string cache_key(const std::filesystem::path& path, const LoadOptions& options) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    user_error("{}: cannot be read: {}", path.string(), errno_text(errno));
  const graph::NumericOptions numeric = numeric_options(options);
  const std::string machine =
      for_host(options)
          ? fmt::format("host{}", program::isa::host().version)
          : fmt::format("{}|{}|{}|{}|{}|{}",
                        hex(blake2b(lockstep::as_bytes(machine::find_machine(options.machine).text))),
                        program::isa::lpu().version, options.chips, options.chip_context, options.chip_rows,
                        options.tensor_parallel);
  const std::string text =
      fmt::format("{}|{}|{}.{:09}|{}|{}|kv{}|{}|{}|{}", std::filesystem::canonical(path).string(),
                  status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ino,
                  numerics::weight_variant_name(numeric.weights), numeric.kv_bits, compiler::kCompilerVersion,
                  machine, program::kContainerVersion);
  return hex(blake2b(lockstep::as_bytes(text)));
}

void warn(const LoadOptions& options, const std::string& message) {
  if (options.warn) options.warn(message);
}

// The program of a GGUF file without a cache.
LoadedProgram compile_in_memory(const std::filesystem::path& path, const LoadOptions& options) {
  const std::unique_ptr<LoadedGraph> source = load_graph(path, options);
  LoadedProgram loaded;
  loaded.path = path.string();
  loaded.compiled = compile_graph(source->graph, import_assets(source->checkpoint.metadata), options);
  loaded.program = loaded.compiled.program;
  const std::vector<std::byte> bytes = program::encode(loaded.program);
  loaded.program_hash = program::program_hash(bytes);
  loaded.program_bytes = bytes.size();
  return loaded;
}

// The cached program of `key`, if there is one and it is whole.
std::optional<LoadedProgram> open_cached(const store::CacheFolder& folder, const std::string& key,
                                         const LoadOptions& options) {
  std::optional<MappedFile> file = folder.open(key);
  if (!file) return std::nullopt;
  try {
    return open_program(*file, options);
  } catch (const Error& error) {
    warn(options, fmt::format("the cached program is not usable and is made again: {}", error.what()));
    return std::nullopt;
  }
}

LoadedProgram load_through_cache(const store::CacheFolder& folder, const std::filesystem::path& path,
                                 const LoadOptions& options) {
  const std::string key = cache_key(path, options);
  if (auto loaded = open_cached(folder, key, options)) return std::move(*loaded);
  const store::LockFile lock = folder.lock(key, [&](std::chrono::milliseconds waited) {
    if (options.progress)
      options.progress("wait for another lockstep that compiles this model",
                       static_cast<uint64_t>(waited.count() / 1000), 0);
  });
  if (auto loaded = open_cached(folder, key, options)) return std::move(*loaded);
  folder.put(key, compile_file(path, options));
  if (auto loaded = open_cached(folder, key, options)) return std::move(*loaded);
  return compile_in_memory(path, options);
}

}  // namespace

std::unique_ptr<LoadedGraph> load_graph(const std::filesystem::path& path, const LoadOptions& options) {
  auto loaded = std::make_unique<LoadedGraph>();
  loaded->checkpoint = importer::read_gguf(path);
  loaded->graph = models::build_graph(loaded->checkpoint, numeric_options(options));
  return loaded;
}

compiler::CompiledProgram compile_graph(graph::Graph& graph, std::vector<program::Asset> assets,
                                        const LoadOptions& options) {
  if (for_host(options)) {
    compiler::CompileOptions host;
    host.progress = options.progress;
    return compiler::compile_for_host(graph, std::move(assets), host);
  }
  const machine::Machine machine = machine::find_machine(options.machine);
  return compiler::compile_for_lpu(graph, machine, std::move(assets),
                                   {.context = options.chip_context,
                                    .chips = options.chips,
                                    .tensor_parallel = options.tensor_parallel,
                                    .rows = options.chip_rows,
                                    .progress = options.progress});
}

std::vector<std::byte> compile_file(const std::filesystem::path& path, const LoadOptions& options) {
  const std::unique_ptr<LoadedGraph> source = load_graph(path, options);
  const compiler::CompiledProgram compiled =
      compile_graph(source->graph, import_assets(source->checkpoint.metadata), options);
  if (for_host(options)) program::verify_weights(compiled.program, path.string());
  return program::encode(compiled.program);
}

LoadedProgram load_program(const std::filesystem::path& path, const LoadOptions& options) {
  if (options.kv_bits && *options.kv_bits != 16 && *options.kv_bits != 8) {
    user_error("--kv {}: 16 or 8 is possible", *options.kv_bits);
  }
  const MappedFile file(path);
  if (program::looks_like_program(file.bytes())) return open_program(file, options);
  if (options.use_cache) {
    const store::Cache::Opened opened = store::Cache::open(store::cache_settings_from_environment());
    if (opened.cache) {
      try {
        LoadedProgram loaded = load_through_cache(opened.cache->programs(), path, options);
        loaded.path = path.string();
        return loaded;
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::Machine) throw;
        warn(options, fmt::format("the compiled program is not kept: {}", error.what()));
      }
    } else {
      warn(options, fmt::format("the compiled program is not kept: {}", opened.reason));
    }
  }
  return compile_in_memory(path, options);
}

static void require_context(const program::Program& program, uint32_t context) {
  if (context > program.context_max) {
    user_error("--context {}: {} was made for up to {} positions", context, program.model_name,
               program.context_max);
  }
}

std::unique_ptr<targets::host::HostTarget> load_target(const program::Program& program,
                                                       const targets::host::HostOptions& options) {
  targets::host::HostOptions chosen = options;
  require_context(program, chosen.context);
  if (chosen.context == 0) chosen.context = std::min(program.context_max, kDefaultContext);
  if (chosen.workers > kWorkersMax)
    user_error("--threads {}: up to {} are possible", chosen.workers, kWorkersMax);
  return targets::host::load(program, chosen);
}

machine::Machine program_machine(const program::Program& program) {
  const program::Asset* asset = program.find_asset(compiler::kMachineAsset);
  if (asset == nullptr) user_error("{}: the program carries no machine file", program.model_name);
  return machine::parse_machine(lockstep::as_text(asset->bytes),
                                fmt::format("the machine of {}", program.model_name));
}

std::unique_ptr<targets::lpu::LpuTarget> load_chips(const program::Program& program, uint32_t context) {
  require_context(program, context);
  return targets::lpu::load(program, program_machine(program), {.context = context});
}

std::string kernels_name(const targets::host::HostTarget& target) {
  return target.kernels().name;
}

text::Tokenizer load_tokenizer(const program::Program& program) {
  const program::Asset* asset = program.find_asset(kTokenizerAsset);
  if (asset == nullptr) user_error("{}: the program carries no tokenizer", program.model_name);
  text::Tokenizer tokenizer(text::decode_vocabulary(asset->bytes, program.model_name));
  if (tokenizer.vocabulary().tokens.size() > program.vocabulary) {
    user_error("{}: the tokenizer has {} tokens and the model {}", program.model_name,
               tokenizer.vocabulary().tokens.size(), program.vocabulary);
  }
  return tokenizer;
}

std::optional<text::ChatTemplate> load_chat_template(const program::Program& program) {
  const program::Asset* asset = program.find_asset(kChatTemplateAsset);
  if (asset == nullptr) return std::nullopt;
  return text::ChatTemplate::parse(std::string(lockstep::as_text(asset->bytes)),
                                   fmt::format("the chat template of {}", program.model_name));
}

numerics::WeightVariant parse_weight_variant(const std::string& name) {
  if (name == "faithful") return numerics::WeightVariant::Faithful;
  if (name == "int8") return numerics::WeightVariant::Int8;
  user_error("--weights {}: faithful or int8 is possible", name);
}

}  // namespace lockstep::api
