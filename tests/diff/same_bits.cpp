// same_bits GOLDEN.json MODEL.gguf... [--update] [--quick]
//
// For each model and each variant (weights faithful or int8, KV cache of 16 or 8 bits) the digests of all
// positions' logits and of their hidden states must be the same on every instruction set of this CPU, with 1,
// 2 and 3 workers, in chunks of 1, 7 and 64 (the faithful variant with 16 bits; the others with 2 workers in
// chunks of 7), on the interpreter, and that of the logits in the golden file, which knows it by the model's
// file name. The fingerprint is kept beside it. --quick takes 2 workers for the faithful variant too.
// --update writes what is missing; a golden digest that differs is an error whatever the flags: it changes
// only with the contract's version.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "api/loaded_model.h"
#include "api/model_assets.h"
#include "base/file.h"
#include "engine/evaluate.h"
#include "graph/interpreter.h"
#include "import/gguf.h"
#include "models/models.h"
#include "numerics/q16.h"
#include "targets/host/kernels/kernels.h"

namespace {

using namespace lockstep;
using Json = nlohmann::ordered_json;

int failures = 0, checks = 0;

void expect(const std::string& what, const std::string& got, const std::string& wanted) {
  ++checks;
  if (got == wanted) return;
  ++failures;
  fmt::print("DIFFERS {}: {} instead of {}\n", what, got, wanted);
}

std::vector<int32_t> some_tokens(uint32_t count, uint32_t vocabulary) {
  std::vector<int32_t> tokens(count);
  for (uint64_t i = 0; i < count; ++i)
    tokens[i] = static_cast<int32_t>((i * i * 7 + i * 13 + 5) % vocabulary);
  return tokens;
}

// Digests of all positions' logits and of their hidden states.
struct Digests {
  std::string logits, hidden;
};

// Takes hidden states one after another.
struct HiddenDigest {
  numerics::Digest digest;
  std::vector<float> unit;
  void add(std::span<const int16_t> hidden) {
    unit.resize(hidden.size());
    numerics::unit_length(hidden, unit);
    digest.logits(unit);
  }
};

Digests interpreter_digests(const graph::Graph& graph, std::span<const int32_t> tokens) {
  graph::Interpreter interpreter(graph);
  HiddenDigest hidden;
  interpreter.probe = [&](graph::ValueId id, const graph::Value& value) {
    if (id == graph.nodes[graph.logits].inputs[0]) hidden.add(value.a);
  };
  engine::Evaluator evaluator(tokens);
  for (uint32_t i = 0; i < tokens.size(); ++i) evaluator.add(i, interpreter.step(tokens[i], true));
  return {evaluator.result().digest, hidden.digest.text()};
}

Digests target_digests(targets::Target& target, std::span<const int32_t> tokens, uint32_t chunk) {
  HiddenDigest hidden;
  std::vector<int16_t> row(target.hidden_width());
  const auto evaluation =
      engine::evaluate(target, tokens, chunk, [&](uint32_t position, std::span<const float>) {
        target.hidden(position % chunk, row);
        hidden.add(row);
      });
  return {evaluation.digest, hidden.digest.text()};
}

void check_variant(const std::string& path, graph::NumericOptions options, Json& golden,
                   std::set<std::string>& fingerprints, bool quick) {
  const importer::Checkpoint checkpoint = importer::read_gguf(path);
  graph::Graph graph = models::build_graph(checkpoint, options);
  const compiler::CompiledProgram compiled =
      compiler::compile_for_host(graph, api::import_assets(checkpoint.metadata), {});
  const bool every_path = options.weights == numerics::WeightVariant::Faithful && options.kv_bits == 16;
  const bool large = checkpoint.file.bytes().size() > (50u << 20);
  const std::vector<int32_t> tokens = some_tokens(large ? 24 : 150, graph.vocabulary);
  const std::string variant =
      fmt::format("{} kv{}", numerics::weight_variant_name(options.weights), options.kv_bits);
  const std::string what = std::filesystem::path(path).filename().string() + " " + variant;

  const auto [digest, hidden] = interpreter_digests(graph, tokens);
  for (const std::string& isa : targets::host::available_isas()) {
    for (uint32_t workers : {1u, 2u, 3u}) {
      if ((quick || !every_path) && workers != 2) continue;
      const auto target = targets::host::load(compiled.program, {isa, workers, 256});
      for (uint32_t chunk : {1u, 7u, 64u}) {
        if (!every_path && chunk != 7) continue;
        const Digests here = target_digests(*target, tokens, chunk);
        const std::string where =
            fmt::format("{} on {} with {} workers in chunks of {}", what, isa, workers, chunk);
        expect(where, here.logits, digest);
        expect(where + ": hidden states", here.hidden, hidden);
      }
    }
  }
  const std::string fingerprint = hex(compiled.program.fingerprint);
  if (!fingerprints.insert(fingerprint).second)
    expect(what + ": fingerprint", "that of another variant", "its own");
  Json& entry = golden[std::filesystem::path(path).filename().string()][variant];
  if (entry.is_null()) entry = {{"tokens", tokens.size()}, {"digest", digest}, {"fingerprint", fingerprint}};
  expect(what + ": golden digest", digest, entry["digest"]);
  expect(what + ": golden fingerprint", fingerprint, entry["fingerprint"]);
}

}  // namespace

int main(int argc, char** argv) {
  bool update = false, quick = false;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--update") {
      update = true;
    } else if (argument == "--quick") {
      quick = true;
    } else {
      paths.push_back(argument);
    }
  }
  try {
    if (paths.size() < 2) user_error("usage: same_bits GOLDEN.json MODEL.gguf... [--update] [--quick]");
    Json golden = std::filesystem::exists(paths[0]) ? Json::parse(read_text_file(paths[0])) : Json::object();
    const Json before = golden;
    for (size_t i = 1; i < paths.size(); ++i) {
      std::set<std::string> fingerprints;
      for (auto weights : {numerics::WeightVariant::Faithful, numerics::WeightVariant::Int8}) {
        for (uint32_t kv_bits : {16u, 8u}) {
          check_variant(paths[i], {weights, kv_bits}, golden, fingerprints, quick);
        }
      }
    }
    if (golden != before) {
      if (update && failures == 0) {
        std::ofstream(paths[0]) << golden.dump(1) << "\n";
      } else if (!update) {
        ++failures;
        fmt::print("{} lacks digests that were computed; --update writes them\n", paths[0]);
      }
    }
  } catch (const Error& error) {
    fmt::print(stderr, "same_bits: {}\n", error.what());
    return error.exit_code();
  }
  fmt::print("{} passed, {} failed\n", checks - failures, failures);
  return failures == 0 ? 0 : 1;
}
