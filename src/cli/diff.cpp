// lockstep diff: one input on two paths, and the first value whose bits differ.
#include <cstring>
#include <map>
#include <memory>

#include "api/model_assets.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "graph/interpreter.h"
#include "numerics/q16.h"
#include "program/isa/host_q16.h"
#include "targets/sole_sequence.h"
#include "text/chat_prompt.h"

namespace lockstep::cli {

namespace {

struct DiffOptions {
  ModelOptions model;
  std::string file, tokens, a = "interpreter", b;
  uint32_t tokens_max = 64;
  bool json = false;
};

// The bits of a node's value at one position: binary32 values, or the integers and the scale of a Q16.
using Bits = std::vector<uint32_t>;
// By position and node.
using Trace = std::map<std::pair<uint32_t, std::string>, Bits>;

Trace trace_interpreter(const graph::Graph& graph, std::span<const int32_t> tokens) {
  Trace trace;
  graph::Interpreter interpreter(graph);
  interpreter.probe = [&](graph::ValueId id, const graph::Value& value) {
    Bits bits;
    for (float x : value.x) bits.push_back(std::bit_cast<uint32_t>(x));
    for (int16_t a : value.a) bits.push_back(static_cast<uint32_t>(int32_t{a}));
    if (!value.a.empty()) bits.push_back(std::bit_cast<uint32_t>(value.scale));
    trace[{interpreter.position(), graph.nodes[id].name}] = std::move(bits);
  };
  for (size_t i = 0; i < tokens.size(); ++i) {
    interpreter.step(tokens[i], true);
    show_progress("interpreter", i + 1, tokens.size());
  }
  return trace;
}

Bits region_bits(const program::Region& region, Bytes row) {
  Bits bits;
  if (region.element == program::Element::F32) {
    bits.resize(region.width);
    std::memcpy(bits.data(), row.data(), region.width * sizeof(float));
    return bits;
  }
  const program::isa::Q16Layout layout(region.width);
  std::vector<int16_t> a(region.width);
  program::isa::unpack_q16(row, a);
  for (int16_t element : a) bits.push_back(static_cast<uint32_t>(int32_t{element}));
  bits.push_back(0);
  std::memcpy(&bits.back(), row.data() + layout.scale(), sizeof(float));
  return bits;
}

Trace trace_host(const program::Program& program, const std::string& isa, std::span<const int32_t> tokens) {
  Trace trace;
  const auto target = api::load_target(program, {isa, 1, static_cast<uint32_t>(tokens.size())});
  uint32_t position = 0;
  std::map<uint32_t, const program::SourceLine*> lines;
  for (const program::SourceLine& line : program.source_map) lines[line.instruction] = &line;
  target->probe = [&](uint32_t instruction) {
    const auto line = lines.find(instruction);
    if (line == lines.end() || line->second->region == program::kNone) return;
    const uint32_t region = line->second->region;
    trace[{position, line->second->node}] =
        region_bits(program.regions[region], target->region_row(region, 0));
  };
  targets::SoleSequence sequence(*target);
  const int32_t wanted = 0;
  for (; position < tokens.size(); ++position) {
    sequence.step(tokens.subspan(position, 1), position, std::span(&wanted, 1));
  }
  return trace;
}

struct Difference {
  uint32_t position;
  const graph::Node* node;
  size_t element;
  uint32_t a, b;
};

// In order of position, then of the graph's nodes; nodes that one path does not show are passed over.
std::optional<Difference> first_difference(const graph::Graph& graph, const Trace& a, const Trace& b,
                                           uint32_t positions, uint64_t& compared) {
  for (uint32_t position = 0; position < positions; ++position) {
    for (const graph::Node& node : graph.nodes) {
      const auto in_a = a.find({position, node.name}), in_b = b.find({position, node.name});
      if (in_a == a.end() || in_b == b.end()) continue;
      ++compared;
      for (size_t i = 0; i < std::max(in_a->second.size(), in_b->second.size()); ++i) {
        const uint32_t left = i < in_a->second.size() ? in_a->second[i] : 0;
        const uint32_t right = i < in_b->second.size() ? in_b->second[i] : 0;
        if (left != right || i >= in_a->second.size() || i >= in_b->second.size()) {
          return Difference{position, &node, i, left, right};
        }
      }
    }
  }
  return std::nullopt;
}

void run(const DiffOptions& options) {
  if (options.file.empty() == options.tokens.empty())
    user_error("one of -f TEXT and --tokens IDS.json is wanted");
  const std::string path = options.model.path();
  for (const std::string& side : {options.a, options.b}) {
    if (side != "interpreter") targets::host::select_kernels(side);
  }
  const api::LoadOptions load = options.model.load_options();
  const auto source = api::load_graph(path, load);
  compiler::CompileOptions compile;
  compile.progress = load.progress;
  const compiler::CompiledProgram compiled =
      compiler::compile_for_host(source->graph, api::import_assets(source->checkpoint.metadata), compile);
  std::vector<int32_t> tokens =
      options.tokens.empty()
          ? text::tokenize_prompt(api::load_tokenizer(compiled.program), read_text_file(options.file), false)
          : read_token_file(options.tokens);
  if (tokens.empty()) user_error("there are no tokens to compare");
  tokens.resize(std::min<size_t>({tokens.size(), options.tokens_max, source->graph.context_max}));
  for (int32_t token : tokens) {
    if (static_cast<uint32_t>(token) >= source->graph.vocabulary)
      user_error("token {} is not in the vocabulary", token);
  }
  auto trace = [&](const std::string& side) {
    return side == "interpreter" ? trace_interpreter(source->graph, tokens)
                                 : trace_host(compiled.program, side, tokens);
  };
  uint64_t compared = 0;
  const auto difference = first_difference(source->graph, trace(options.a), trace(options.b),
                                           static_cast<uint32_t>(tokens.size()), compared);
  end_progress();
  if (options.json) {
    nlohmann::ordered_json json;
    json["equal"] = !difference.has_value();
    json["positions"] = tokens.size();
    json["values_compared"] = compared;
    if (difference) {
      json["first"] = {{"operator", graph::op_name(difference->node->op)},
                       {"node", difference->node->name},
                       {"layer", difference->node->layer},
                       {"position", difference->position},
                       {"element", difference->element},
                       {"a", fmt::format("{:08x}", difference->a)},
                       {"b", fmt::format("{:08x}", difference->b)}};
    }
    print_json(json);
  } else if (difference) {
    print_text(fmt::format(
        "differs first in {} ({}, layer {}) at position {}, element {}: {} has {:08x}, {} has {:08x}\n",
        difference->node->name, graph::op_name(difference->node->op), difference->node->layer,
        difference->position, difference->element, options.a, difference->a, options.b, difference->b));
  } else {
    print_text(fmt::format("equal: {} values of {} positions have the same bits on {} and {}\n", compared,
                           tokens.size(), options.a, options.b));
  }
  if (difference) set_exit_code(1);
}

}  // namespace

void add_diff(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("diff", "Run one text on two paths and name the first value whose bits differ");
  auto options = std::make_shared<DiffOptions>();
  command->add_option("-m,--model", options->model.model, "GGUF file (default: SmolLM2-135M-Instruct)");
  command->add_option("-f,--file", options->file, "the text")->type_name("TEXT");
  command->add_option("--tokens", options->tokens, "token ids instead of a text")->type_name("IDS.json");
  command->add_option("--a", options->a, "interpreter, scalar, avx2, avx512 or neon")->capture_default_str();
  command->add_option("--b", options->b, "the other path")->required();
  command->add_option("-n", options->tokens_max, "compare this many positions at the most")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1u << 24));
  command->add_option("--weights", options->model.weights, "faithful or int8")
      ->check(CLI::IsMember({"faithful", "int8"}));
  command->add_option("--kv", options->model.kv_bits, "bits of the KV cache: 16 or 8")
      ->check(CLI::IsMember({"16", "8"}));
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "\nExample:\n  lockstep diff -f README.md -n 16 --a interpreter --b avx2\n\nThe exit code is 0 when "
      "the bits are equal and 1 when they differ.");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
