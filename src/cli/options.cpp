#include "cli/options.h"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/console.h"
#include "cli/default_model.h"

namespace lockstep::cli {

namespace {

// CLI11 would read "-1" as the largest unsigned number.
const CLI::Validator whole_number(
    [](std::string& text) {
      uint64_t value = 0;
      const char* end = text.data() + text.size();
      const auto result = std::from_chars(text.data(), end, value);
      const bool good = result.ec == std::errc() && result.ptr == end;
      return good ? std::string() : text + " is no whole number from 0 to 18446744073709551615";
    },
    "UINT64");

}  // namespace

void ModelOptions::add(CLI::App& command) {
  command.add_option("-m,--model", model, "GGUF file or compiled program (default: SmolLM2-135M-Instruct)");
  command.add_option("--threads", threads, "worker threads (default: one for each core)")
      ->check(CLI::Range(1, 256));
  command.add_option("--isa", isa,
                     "kernels: scalar, avx2, avx512, amx, neon (default: the best this CPU has)");
  command.add_option("--context", context, "positions to make room for (default: the model's, at most 8192)")
      ->check(CLI::Range(1u, 1u << 24));
  command.add_option("--chunk", chunk, "prompt tokens a step (default: what is fastest)")
      ->check(CLI::Range(1u, 65536u));
  command.add_option("--weights", weights, "faithful, or int8: one scale a row")
      ->check(CLI::IsMember({"faithful", "int8"}));
  command.add_option("--kv", kv_bits, "bits of the KV cache: 16 or 8")->check(CLI::IsMember({"16", "8"}));
  command
      .add_option("--machine", machine,
                  "what to run on: host, or a simulated LPU (lockstep machine lists them)")
      ->capture_default_str();
  command.add_option("--chips", chips, "how many LPU chips (default: as few as hold the model)")
      ->check(CLI::Range(1u, 1024u));
  command.add_flag("--no-cache", no_cache, "neither read nor write the cache of compiled programs");
}

void EngineOptions::add(CLI::App& command) {
  command.add_option("--cache-dir", cache_folder, "keep the state of prompts in this folder over restarts")
      ->type_name("FOLDER");
  command
      .add_option("--draft-model", draft_model,
                  "a small model of the same vocabulary that guesses ahead (default: guesses are copied)")
      ->type_name("MODEL");
  command.add_option("--drafts", drafts_max, "tokens guessed ahead in a step at the most")
      ->capture_default_str()
      ->check(CLI::Range(1u, 255u));
  command.add_flag("--no-speculation", no_speculation, "guess nothing ahead; the text is the same");
}

std::string ModelOptions::path() const {
  return model.empty() ? default_model_path() : model;
}

api::LoadOptions ModelOptions::load_options() const {
  api::LoadOptions options;
  if (!weights.empty()) options.weights = api::parse_weight_variant(weights);
  if (kv_bits != 0) options.kv_bits = kv_bits;
  options.machine = machine;
  options.chips = chips;
  if (machine != "host") {
    options.chip_context = context;
    options.chip_rows = chip_rows;
    options.tensor_parallel = tensor_parallel;
  } else if (chips != 0) {
    user_error("--chips {}: the host is no LPU; --machine lpu-v1 is one", chips);
  }
  options.use_cache = !no_cache;
  options.progress = show_progress;
  options.warn = show_warning;
  return options;
}

targets::host::HostOptions ModelOptions::host_options() const {
  if (machine != "host") user_error("--machine {}: this command runs on the host alone", machine);
  return {isa, threads, context, 0};
}

void SamplingOptions::add(CLI::App& command) {
  command
      .add_option("-n,--tokens", tokens_max, "most tokens to answer with; 0: as many as the context holds")
      ->capture_default_str();
  command.add_option("--temperature,--temp", temperature, "0: always the most likely token")
      ->capture_default_str();
  command.add_option("--top-k", top_k, "only the k most likely; 0: all")->capture_default_str();
  command.add_option("--top-p", top_p, "only the most likely that together have this probability")
      ->capture_default_str();
  command.add_option("--min-p", min_p, "only those at least this likely, relative to the most likely")
      ->capture_default_str();
  command.add_option("--seed", seed, "same seed, same answer, on every machine")
      ->capture_default_str()
      ->check(whole_number);
  command.add_option("--repetition-penalty", repetition_penalty, "1: none")->capture_default_str();
  command.add_option("--frequency-penalty", frequency_penalty, "0: none")->capture_default_str();
  command.add_option("--presence-penalty", presence_penalty, "0: none")->capture_default_str();
  command.add_option("--stop", stop, "end the answer before this text; may be given several times")
      ->allow_extra_args(false);
  command
      .add_option("--logit-bias", logit_bias, "ID=BIAS, added to a token's logit; may be given several times")
      ->allow_extra_args(false);
  command.add_flag("--ignore-eos", ignore_end, "go on past the model's end of answer");
}

RequestOptions::RequestOptions(const SamplingOptions& sampling, uint32_t chunk) : stop_(sampling.stop) {
  for (const std::string& stop : stop_) {
    if (stop.empty()) user_error("--stop: the text that is to end the answer is empty");
    stop_pointers_.push_back(stop.c_str());
  }
  for (const std::string& text : sampling.logit_bias) {
    const size_t equals = text.find('=');
    lockstep_logit_bias bias{};
    const char* end = text.data() + text.size();
    const char* middle = text.data() + std::min(equals, text.size());
    const auto id = std::from_chars(text.data(), middle, bias.token);
    const auto value = equals == std::string::npos ? std::from_chars_result{end, std::errc::invalid_argument}
                                                   : std::from_chars(middle + 1, end, bias.bias);
    if (id.ec != std::errc() || id.ptr != middle || value.ec != std::errc() || value.ptr != end) {
      user_error("--logit-bias {}: ID=BIAS is wanted, such as 42=-1.5", text);
    }
    logit_bias_.push_back(bias);
  }
  lockstep_default_request(&options);
  options.tokens_max = sampling.tokens_max;
  options.chunk = chunk;
  options.temperature = sampling.temperature;
  options.top_k = sampling.top_k;
  options.top_p = sampling.top_p;
  options.min_p = sampling.min_p;
  options.repetition_penalty = sampling.repetition_penalty;
  options.frequency_penalty = sampling.frequency_penalty;
  options.presence_penalty = sampling.presence_penalty;
  options.seed = sampling.seed;
  options.ignore_end = sampling.ignore_end ? 1 : 0;
  options.stop = stop_pointers_.data();
  options.stop_count = stop_pointers_.size();
  options.logit_bias = logit_bias_.data();
  options.logit_bias_count = logit_bias_.size();
}

void require_ok(lockstep_status status) {
  switch (status) {
    case LOCKSTEP_OK:
    case LOCKSTEP_PENDING:
      return;
    case LOCKSTEP_USER_ERROR:
      throw Error(ErrorKind::User, lockstep_error());
    case LOCKSTEP_MACHINE_ERROR:
      throw Error(ErrorKind::Machine, lockstep_error());
    case LOCKSTEP_INTERNAL_ERROR:
      throw Error(ErrorKind::Internal, lockstep_error());
  }
}

ModelHandle load_model(const ModelOptions& options, const EngineOptions& engine) {
  const std::string path = options.path();
  lockstep_load_options load{};
  load.machine = options.machine.c_str();
  load.chips = options.chips;
  load.isa = options.isa.empty() ? nullptr : options.isa.c_str();
  load.threads = options.threads;
  load.context = options.context;
  load.weights = options.weights.empty() ? nullptr : options.weights.c_str();
  load.kv_bits = options.kv_bits;
  load.no_cache = options.no_cache ? 1 : 0;
  load.cache_dir = engine.cache_folder.empty() ? nullptr : engine.cache_folder.c_str();
  load.draft_model = engine.draft_model.empty() ? nullptr : engine.draft_model.c_str();
  load.drafts_max = engine.drafts_max;
  load.kv_positions = engine.kv_positions;
  load.no_speculation = engine.no_speculation ? 1 : 0;
  load.progress = [](void*, const char* what, uint64_t done, uint64_t total) {
    show_progress(what, done, total);
  };
  load.warning = [](void*, const char* message) { show_warning(message); };
  lockstep_model* model = nullptr;
  require_ok(lockstep_load(path.c_str(), &load, &model));
  end_progress();
  return ModelHandle(model);
}

std::string read_prompt(const std::string& argument, const std::string& file) {
  if (!argument.empty() && !file.empty())
    user_error("a prompt and -f {} were given; one of them is wanted", file);
  if (!file.empty()) return read_text_file(file);
  if (!argument.empty()) return argument;
  if (::isatty(0) != 0) user_error("no prompt: give it as an argument, with -f FILE or on standard input");
  return read_text_file("-");
}

std::vector<int32_t> read_token_file(const std::string& path) {
  nlohmann::json json = nlohmann::json::parse(read_text_file(path), nullptr, false);
  if (json.is_object() && json.contains("tokens")) json = nlohmann::json(json["tokens"]);
  if (!json.is_array())
    user_error("{}: a JSON list of token ids is wanted, or an object with \"tokens\"", path);
  std::vector<int32_t> tokens;
  for (const nlohmann::json& item : json) {
    if (!item.is_number_integer() || item.get<int64_t>() < 0 || item.get<int64_t>() > 0x7fffffff) {
      user_error("{}: {} is no token id", path, item.dump());
    }
    tokens.push_back(item.get<int32_t>());
  }
  return tokens;
}

}  // namespace lockstep::cli
