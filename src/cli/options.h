// Options that several commands share, and what they lead to.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "api/loaded_model.h"
#include "lockstep/lockstep.h"

namespace lockstep::cli {

// -m, --threads, --isa, --context, --chunk, --weights, --kv, --machine, --chips, --no-cache.
struct ModelOptions {
  std::string model;
  uint32_t threads = 0;
  std::string isa;
  uint32_t context = 0;
  uint32_t chunk = 0;  // 0: what is fastest
  std::string weights;
  uint32_t kv_bits = 0;
  std::string machine = "host";
  uint32_t chips = 0;
  uint32_t tensor_parallel = 0;
  uint32_t chip_rows = api::LoadOptions().chip_rows;
  bool no_cache = false;

  void add(CLI::App& command);
  // The model's path; fetches the default model when none is named and it is not there yet.
  std::string path() const;
  api::LoadOptions load_options() const;
  targets::host::HostOptions host_options() const;
};

// --cache-dir, --draft-model, --drafts, --no-speculation: what decides an answer's speed and not its text.
struct EngineOptions {
  std::string cache_folder;
  std::string draft_model;
  uint32_t drafts_max = 31;
  bool no_speculation = false;
  uint64_t kv_positions = 0;  // of all requests together; 0: one context. An option of serve alone

  void add(CLI::App& command);
};

// -n, --temperature, --top-k, --top-p, --min-p, --seed, the penalties, --stop, --logit-bias, --ignore-eos.
struct SamplingOptions {
  uint32_t tokens_max = 512;
  float temperature = 0;
  int32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float frequency_penalty = 0;
  float presence_penalty = 0;
  uint64_t seed = 0;
  bool ignore_end = false;
  std::vector<std::string> stop;
  std::vector<std::string> logit_bias;  // "ID=BIAS"

  void add(CLI::App& command);
};

// A C request with the strings and lists that it points to.
struct RequestOptions {
  explicit RequestOptions(const SamplingOptions& sampling, uint32_t chunk);
  lockstep_request_options options;

 private:
  std::vector<std::string> stop_;
  std::vector<const char*> stop_pointers_;
  std::vector<lockstep_logit_bias> logit_bias_;
};

struct ModelDeleter {
  void operator()(lockstep_model* model) const { lockstep_free_model(model); }
};
using ModelHandle = std::unique_ptr<lockstep_model, ModelDeleter>;

// Loads through the C interface, with progress on standard error.
ModelHandle load_model(const ModelOptions& options, const EngineOptions& engine);

// Turns a status of the C interface into the error it stands for.
void require_ok(lockstep_status status);

// The positional argument, or the file, or standard input when it is no terminal; exactly one of them.
std::string read_prompt(const std::string& argument, const std::string& file);

// Token ids from a JSON file: a list, or an object with "tokens".
std::vector<int32_t> read_token_file(const std::string& path);

}  // namespace lockstep::cli
