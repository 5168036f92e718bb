// lockstep compile: a model file into a program file.
#include <memory>

#include "api/model_assets.h"
#include "cli/chip_plan.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/cost.h"
#include "cli/options.h"
#include "compiler/lpu/compile_lpu.h"
#include "machine/machine.h"
#include "program/encode.h"
#include "store/atomic_file.h"

namespace lockstep::cli {

namespace {

struct CompileCommand {
  ModelOptions model;
  std::string out;
  bool dry_run = false, json = false;
};

nlohmann::ordered_json plan_json(const program::Program& program) {
  nlohmann::ordered_json json;
  json["model"] = program.model_name;
  json["machine"] = program.machine;
  json["weights"] = program.weight_variant;
  for (const program::Memory& memory : program.memories) {
    const char* key = memory.kind == program::MemoryKind::State     ? "bytes_per_page"
                      : memory.kind == program::MemoryKind::Private ? "bytes_per_worker"
                                                                    : "bytes";
    json["memories"][memory.name] = {{key, memory.bytes}};
  }
  json["page_positions"] = program.state.page_positions;
  json["step"] = to_json(step_cost(program));
  return json;
}

// For LPUs everything is compiled: what there is room for shows when it is placed.
void dry_run_for_chips(const CompileCommand& options, graph::Graph& graph) {
  const compiler::CompiledProgram compiled = api::compile_graph(graph, {}, options.model.load_options());
  end_progress();
  const machine::Machine machine = machine::find_machine(options.model.machine);
  const compiler::lpu::Plan plan = compiler::lpu::plan_of(compiled.program, graph, machine);
  if (!options.json) return print_text(describe(plan, machine));
  nlohmann::ordered_json json = {{"model", compiled.program.model_name},
                                 {"machine", compiled.program.machine},
                                 {"weights", compiled.program.weight_variant}};
  json.update(to_json(plan, machine));
  print_json(json);
}

void dry_run(const CompileCommand& options) {
  const auto source = api::load_graph(options.model.path(), options.model.load_options());
  if (options.model.machine != "host") return dry_run_for_chips(options, source->graph);
  compiler::CompileOptions compile;
  compile.machine = options.model.machine;
  const program::Program program = compiler::plan_for_host(source->graph, compile);
  if (options.json) return print_json(plan_json(program));
  for (const program::Memory& memory : program.memories) {
    const char* unit = memory.kind == program::MemoryKind::State     ? " a page of 64 positions"
                       : memory.kind == program::MemoryKind::Private ? " a worker"
                                                                     : "";
    print_text(fmt::format("{:<12} {:>12} bytes{}\n", memory.name, memory.bytes, unit));
  }
  print_text(describe(step_cost(program)));
}

void run(const CompileCommand& options) {
  if (options.dry_run) return dry_run(options);
  if (options.out.empty()) user_error("-o PROGRAM is wanted: where to write the program (or --dry-run)");
  const std::vector<std::byte> bytes = api::compile_file(options.model.path(), options.model.load_options());
  store::write_file(options.out, bytes);
  end_progress();
  const program::Program program = program::decode(bytes, options.out);
  if (options.json) {
    nlohmann::ordered_json json;
    json["program_file"] = options.out;
    json["bytes"] = bytes.size();
    json["fingerprint"] = hex(program.fingerprint);
    json["program"] = hex(program::program_hash(bytes));
    return print_json(json);
  }
  print_text(fmt::format("{}: {} bytes\nfingerprint  {}\nprogram      {}\n", options.out, bytes.size(),
                         hex(program.fingerprint), hex(program::program_hash(bytes))));
}

}  // namespace

void add_compile(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("compile", "Compile a model file into a program file that runs alone");
  auto options = std::make_shared<CompileCommand>();
  command->add_option("model", options->model.model, "GGUF file (default: SmolLM2-135M-Instruct)");
  command->add_option("-o,--output", options->out, "the program file")->type_name("PROGRAM");
  command->add_option("--weights", options->model.weights, "faithful, or int8: one scale a row")
      ->check(CLI::IsMember({"faithful", "int8"}));
  command->add_option("--kv", options->model.kv_bits, "bits of the KV cache: 16 or 8")
      ->check(CLI::IsMember({"16", "8"}));
  command
      ->add_option("--machine", options->model.machine,
                   "what to compile for: host, or an LPU (lockstep machine lists them)")
      ->capture_default_str();
  command
      ->add_option("--chips", options->model.chips, "how many LPU chips (default: as few as hold the model)")
      ->check(CLI::Range(1u, 1024u));
  command
      ->add_option("--context", options->model.context,
                   "LPU: positions to make room for, or max: as many as the chips hold (default: one block)")
      ->transform([](const std::string& text) {
        return text == "max" ? std::to_string(compiler::kContextMax) : text;
      })
      ->check(CLI::Range(1u, 1u << 24) | CLI::IsMember({compiler::kContextMax}));
  command
      ->add_option("--tensor-parallel", options->model.tensor_parallel,
                   "how many LPU chips share every matrix (default: what takes the fewest cycles)")
      ->check(CLI::Range(1u, 64u));
  command
      ->add_option("--rows", options->model.chip_rows,
                   "LPU: tokens of a prompt or a draft that go through it together")
      ->check(CLI::Range(1u, targets::lpu::kStepRowsMax))
      ->capture_default_str();
  command->add_flag("--dry-run", options->dry_run,
                    "only say what it would take: bytes of each memory, cost of a step");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "\nExample:\n  lockstep compile model.gguf -o model.lockstep && lockstep run -m model.lockstep "
      "\"Hello\"");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
