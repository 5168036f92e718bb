// lockstep inspect: what is in a model file or a program.
#include <memory>

#include "api/model_assets.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/cost.h"
#include "cli/inspect_run.h"
#include "cli/npy.h"
#include "cli/options.h"
#include "import/gguf.h"
#include "program/encode.h"
#include "program/instruction_code.h"
#include "program/isa/host_panels.h"
#include "program/isa/lpu_text.h"
#include "program/print.h"

namespace lockstep::cli {

namespace {

struct InspectOptions {
  std::string path, tensor, out, weights, queue;
  bool json = false, print = false, graph = false;
  InspectRunOptions run;
};

using Json = nlohmann::ordered_json;

void export_tensor(const numerics::Tensor& tensor, const std::string& out) {
  std::vector<uint64_t> shape(tensor.shape.rbegin(), tensor.shape.rend());
  NpyWriter npy(out, shape);
  std::vector<double> values(tensor.columns());
  for (uint64_t r = 0; r < tensor.rows(); ++r) {
    numerics::decode_row(tensor.type, tensor.row(r), values);
    npy.append(std::vector<float>(values.begin(), values.end()));
  }
  npy.commit();
}

// The integers times their scale: what the program computes with.
void export_matrix(const program::Program& program, const program::Matrix& matrix, const std::string& out) {
  NpyWriter npy(out, {matrix.rows, matrix.columns});
  const program::isa::PanelLayout layout = program::isa::panel_layout(matrix);
  const Bytes memory = program.contents.at(matrix.memory);
  std::vector<int16_t> w(matrix.columns);
  std::vector<float> row(matrix.columns);
  for (uint64_t r = 0; r < matrix.rows; ++r) {
    program::isa::unpack_row(layout, memory.subspan(matrix.offset), r, w);
    float sw;
    std::memcpy(&sw, memory.data() + matrix.scales_offset + r * sizeof(float), sizeof(sw));
    for (uint64_t k = 0; k < matrix.columns; ++k) row[k] = static_cast<float>(w[k]) * sw;
    npy.append(row);
  }
  npy.commit();
}

void inspect_gguf(const InspectOptions& options) {
  const importer::Checkpoint checkpoint = importer::read_gguf(options.path);
  if (!options.tensor.empty()) {
    const numerics::Tensor* tensor = checkpoint.find(options.tensor);
    if (tensor == nullptr) user_error("{}: no tensor is named {}", options.path, options.tensor);
    return export_tensor(*tensor, options.out);
  }
  if (options.graph) {
    api::LoadOptions load;
    return print_text(graph::print(api::load_graph(options.path, load)->graph));
  }
  Json json;
  json["file"] = options.path;
  uint64_t elements = 0;
  for (const auto& [key, value] : checkpoint.metadata.values()) {
    std::visit(
        [&, name = key](const auto& v) {
          if constexpr (requires {
                          v.size();
                          v.begin();
                        } &&
                        !std::is_same_v<std::decay_t<decltype(v)>, std::string>) {
            json["metadata"][name] = fmt::format("{} elements", v.size());
          } else {
            json["metadata"][name] = v;
          }
        },
        value);
  }
  for (const numerics::Tensor& tensor : checkpoint.tensors) {
    elements += tensor.columns() * tensor.rows();
    json["tensors"].push_back({{"name", tensor.name},
                               {"type", numerics::tensor_type_info(tensor.type).name},
                               {"shape", std::vector<uint64_t>(tensor.shape.rbegin(), tensor.shape.rend())},
                               {"bytes", tensor.bytes.size()}});
  }
  if (options.json) return print_json(json);
  for (const auto& [key, value] : json["metadata"].items()) {
    std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    std::replace(text.begin(), text.end(), '\n', ' ');
    print_text(fmt::format("{:<44} {}\n", key, text.size() > 100 ? text.substr(0, 97) + "..." : text));
  }
  for (const Json& tensor : json["tensors"]) {
    print_text(fmt::format("{:<44} {:<7} {}\n", tensor["name"].get<std::string>(),
                           tensor["type"].get<std::string>(), tensor["shape"].dump()));
  }
  print_text(fmt::format("{} tensors, {:.1f} million weights\n", checkpoint.tensors.size(),
                         static_cast<double>(elements) / 1e6));
}

// Of an LPU program: how much each entry has to issue and fetch.
Json entries_json(const program::Program& program) {
  Json json;
  for (const program::Entry& entry : program.entries) {
    uint64_t instructions = 0, bytes = 0;
    for (uint32_t index : entry.queues) {
      for (const program::Instruction& instruction : program.queues[index].instructions) {
        ++instructions;
        bytes += program::instruction_bytes(instruction);
      }
    }
    json[entry.name] = {{"queues", entry.queues.size()}, {"instructions", instructions}, {"bytes", bytes}};
    for (uint32_t index : entry.parameters) {
      const program::Parameter& parameter = program.parameters[index];
      if (parameter.name == entry.name + ".cycles") json[entry.name]["cycles"] = parameter.max;
    }
  }
  return json;
}

Json program_json(const program::Program& program, Bytes bytes, const std::string& path) {
  Json json;
  json["file"] = path;
  json["model"] = program.model_name;
  json["fingerprint"] = hex(program.fingerprint);
  json["program"] = hex(program::program_hash(bytes));
  json["isa"] = program.isa;
  json["machine"] = program.machine;
  json["compiler"] = program.compiler_version;
  json["weights"] = program.weight_variant;
  json["kv_bits"] = program.state.kv_bits;
  json["vocabulary"] = program.vocabulary;
  json["context_max"] = program.context_max;
  for (const char* object : {"memories", "assets"}) json[object] = Json::object();
  json["matrices"] = Json::array();
  for (const program::Memory& memory : program.memories) json["memories"][memory.name] = memory.bytes;
  for (const program::Asset& asset : program.assets) json["assets"][asset.name] = asset.bytes.size();
  for (const program::Matrix& matrix : program.matrices) {
    json["matrices"].push_back(
        {{"name", matrix.name},
         {"rows", matrix.rows},
         {"columns", matrix.columns},
         {"layout", program::isa::panel_kind_name(static_cast<program::isa::PanelKind>(matrix.layout))},
         {"error_relative", matrix.error_relative},
         {"error_worst", matrix.error_worst},
         {"error_worst_at", {matrix.error_row, matrix.error_column}}});
  }
  if (program.isa == "host") json["step"] = to_json(step_cost(program));
  if (program.isa == "lpu") json["entries"] = entries_json(program);
  return json;
}

// The queues of a unit, one of each entry that has one.
void print_queues(const program::Program& program, const InspectOptions& options) {
  if (program.isa != program::isa::lpu().name) {
    user_error("{}: --queue shows a queue of an LPU program; this one is for {}; --print shows it",
               options.path, program.isa);
  }
  bool found = false;
  for (const program::Entry& entry : program.entries) {
    for (uint32_t index : entry.queues) {
      const program::Queue& queue = program.queues[index];
      if (queue.unit != options.queue) continue;
      found = true;
      print_text(fmt::format("; entry {}\n{}", entry.name, program::isa::print_timed(queue)));
    }
  }
  if (!found) {
    user_error("{}: the program has no queue {}; the first of its {} is {}", options.path, options.queue,
               program.queues.size(), program.queues.empty() ? "none" : program.queues[0].unit);
  }
}

void inspect_program(const InspectOptions& options, Bytes bytes) {
  const program::Program program = program::decode(bytes, options.path);
  if (options.run.wanted()) return inspect_run(program, bytes, options.path, options.run, options.json);
  if (!options.queue.empty()) return print_queues(program, options);
  if (!options.tensor.empty()) {
    const program::Matrix* matrix = program.find_matrix(options.tensor);
    if (matrix == nullptr) user_error("{}: no matrix is named {}", options.path, options.tensor);
    return export_matrix(program, *matrix, options.out);
  }
  if (options.print) return print_text(program::print(program));
  const Json json = program_json(program, bytes, options.path);
  if (options.json) return print_json(json);
  for (const char* key : {"model", "fingerprint", "program", "isa", "machine", "compiler", "weights",
                          "kv_bits", "vocabulary", "context_max"}) {
    print_text(fmt::format("{:<14} {}\n", key,
                           json[key].is_string() ? json[key].get<std::string>() : json[key].dump()));
  }
  if (program.isa == "lpu") {
    uint64_t bytes_all = 0;
    for (const program::Memory& memory : program.memories) bytes_all += memory.bytes;
    print_text(
        fmt::format("memory {} images of slices and maps, {} bytes\n", program.memories.size(), bytes_all));
  } else {
    for (const auto& [name, size] : json["memories"].items())
      print_text(fmt::format("memory {:<12} {:>12} bytes\n", name, size.get<uint64_t>()));
  }
  for (const auto& [name, size] : json["assets"].items())
    print_text(fmt::format("asset  {:<16} {:>8} bytes\n", name, size.get<uint64_t>()));
  if (json.contains("entries")) {
    for (const auto& [name, entry] : json["entries"].items()) {
      print_text(fmt::format("entry  {:<12} {:>4} queues, {} instructions in {} bytes, {} cycles\n", name,
                             entry["queues"].get<uint64_t>(), entry["instructions"].get<uint64_t>(),
                             entry["bytes"].get<uint64_t>(), entry.value("cycles", uint64_t{0})));
    }
  }
  if (program.matrices.empty()) return;
  print_text(
      "\nmatrix                          shape            layout   error: relative  worst      at row, "
      "column\n");
  for (const program::Matrix& matrix : program.matrices) {
    print_text(fmt::format("{:<31} {:>7} x {:<6} {:<8}       {:.2e}   {:.2e}   {}, {}\n", matrix.name,
                           matrix.rows, matrix.columns,
                           program::isa::panel_kind_name(static_cast<program::isa::PanelKind>(matrix.layout)),
                           matrix.error_relative, matrix.error_worst, matrix.error_row, matrix.error_column));
  }
  if (program.isa == "host") print_text("\n" + describe(step_cost(program)));
}

void run(InspectOptions options) {
  ModelOptions model;
  model.model = options.path;
  options.path = model.path();
  if (options.tensor.empty() != options.out.empty()) user_error("--tensor NAME and -o X.npy belong together");
  options.run.require_consistent();
  const MappedFile file(options.path);
  if (program::looks_like_program(file.bytes())) return inspect_program(options, file.bytes());
  if (options.print || !options.queue.empty() || options.run.wanted()) {
    user_error("{}: --print, --queue, --trace, --html and --energy show a program; compile the model first",
               options.path);
  }
  inspect_gguf(options);
}

}  // namespace

void add_inspect(CLI::App& app) {
  CLI::App* command = app.add_subcommand("inspect", "Show what is in a model file or a program");
  auto options = std::make_shared<InspectOptions>();
  command->add_option("file", options->path, "GGUF file or program (default: SmolLM2-135M-Instruct)");
  command->add_option(
      "--tensor", options->tensor,
      "export one tensor as float32: of a GGUF file its values, of a program its integers times their scale");
  command->add_option("-o,--output", options->out, "where to")->type_name("X.npy");
  command->add_flag("--print", options->print, "print a program's regions and instructions");
  command
      ->add_option("--queue", options->queue,
                   "print a queue of an LPU program with the cycle of each instruction")
      ->type_name("c0.vxm.3");
  command->add_flag("--graph", options->graph, "print the graph of a GGUF file");
  command->add_flag("--json", options->json, "print JSON");
  options->run.add(*command);
  command->footer(
      "\nExamples:\n  lockstep inspect model.lockstep\n  lockstep inspect model.gguf --tensor "
      "token_embd.weight -o embedding.npy");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
