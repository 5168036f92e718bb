#include "cli/bench_workload.h"

#include <fmt/format.h>

#include "cli/answer.h"
#include "cli/console.h"
#include "cli/statistics.h"

namespace lockstep::cli {

namespace {

// The prompt of a file and what its answers took.
struct Work {
  std::string file;
  std::vector<int32_t> prompt;
  Answer answer;                          // the last one, with speculation
  std::vector<double> decode_s, plain_s;  // of each round, from the first token to the last

  // Tokens that decode_s counts.
  size_t tokens() const { return answer.tokens.size() - 1; }
};

struct Speed {
  double tok_s = 0, plain_tok_s = 0;
};

// Of all the works' tokens together.
Speed speed(std::span<const Work> works) {
  double tokens = 0, seconds = 0, plain_seconds = 0;
  for (const Work& work : works) {
    tokens += static_cast<double>(work.tokens());
    seconds += median(work.decode_s);
    plain_seconds += median(work.plain_s);
  }
  return {tokens / seconds, tokens / plain_seconds};
}

void check_same(const Work& work, const Answer& plain) {
  if (work.answer.digest == plain.digest && work.answer.tokens == plain.tokens &&
      work.answer.text == plain.text) {
    return;
  }
  internal_error("{}: the answer with speculation has digest {}, the one without it {}", work.file,
                 work.answer.digest, plain.digest);
}

// One answer each way. False when a signal ended one.
bool run_round(lockstep_model* model, lockstep_model* plain_model, const lockstep_request_options& request,
               Work& work) {
  const auto show_nothing = [](std::string_view) {};
  work.answer = generate(model, work.prompt, request, show_nothing);
  if (work.answer.signal != 0) return false;
  const Answer plain = generate(plain_model, work.prompt, request, show_nothing);
  if (plain.signal != 0) {
    work.answer.signal = plain.signal;
    return false;
  }
  check_same(work, plain);
  if (work.answer.tokens.size() < 2) {
    user_error("{}: the answer ends after its first token, so there is no speed to measure", work.file);
  }
  work.decode_s.push_back(work.answer.decode_s);
  work.plain_s.push_back(plain.decode_s);
  return true;
}

nlohmann::ordered_json workload_json(const BenchOptions& options, lockstep_model* model,
                                     std::span<const Work> works) {
  lockstep_model_info info{};
  lockstep_describe(model, &info);
  auto figures = [](std::span<const Work> some) {
    const Speed both = speed(some);
    uint64_t tokens = 0, tried = 0, taken = 0;
    for (const Work& work : some) {
      tokens += work.answer.tokens.size();
      tried += work.answer.drafts_tried;
      taken += work.answer.drafts_taken;
    }
    return nlohmann::ordered_json{{"tokens", tokens},
                                  {"tok_s", both.tok_s},
                                  {"plain_tok_s", both.plain_tok_s},
                                  {"ratio", both.tok_s / both.plain_tok_s},
                                  {"drafts_tried", tried},
                                  {"drafts_taken", taken}};
  };
  nlohmann::ordered_json json = {{"what", "workload"}, {"temperature", options.temperature}};
  json.update(figures(works));
  json["threads"] = info.threads;
  json["isa"] = info.isa;
  json["files"] = nlohmann::ordered_json::array();
  for (const Work& work : works) {
    nlohmann::ordered_json item = {{"file", work.file}, {"prompt_tokens", work.prompt.size()}};
    item.update(figures(std::span(&work, 1)));
    item["digest"] = work.answer.digest;
    json["files"].push_back(std::move(item));
  }
  return json;
}

std::string to_text(const nlohmann::ordered_json& json) {
  std::string out = fmt::format(
      "temperature {}, {} kernels, {} threads; the answers with speculation and without are the same\n"
      "tokens     tok/s  without  ratio  drafts tried  taken  file\n",
      json["temperature"].get<float>(), json["isa"].get<std::string>(), json["threads"].get<uint32_t>());
  auto row = [&](const nlohmann::ordered_json& item, const std::string& name) {
    out += fmt::format("{:>6} {:>9.1f} {:>8.1f} {:>6.2f} {:>13} {:>6}  {}\n", item["tokens"].get<uint64_t>(),
                       item["tok_s"].get<double>(), item["plain_tok_s"].get<double>(),
                       item["ratio"].get<double>(), item["drafts_tried"].get<uint64_t>(),
                       item["drafts_taken"].get<uint64_t>(), name);
  };
  for (const nlohmann::ordered_json& item : json["files"]) row(item, item["file"].get<std::string>());
  row(json, "all");
  return out;
}

}  // namespace

void bench_workload(const BenchOptions& options) {
  if (options.tokens < 2) user_error("-n {}: --workload needs two tokens at least", options.tokens);
  EngineOptions engine;
  const ModelHandle model = load_model(options.model, engine);
  engine.no_speculation = true;
  const ModelHandle plain_model = load_model(options.model, engine);
  SamplingOptions sampling;
  sampling.tokens_max = options.tokens;
  sampling.temperature = options.temperature;
  const RequestOptions request(sampling, options.model.chunk);
  std::vector<Work> works;
  for (const std::string& file : options.workload) {
    Work& work = works.emplace_back();
    work.file = file;
    work.prompt = tokenize(model.get(), read_prompt("", file), true);
  }
  for (uint32_t round = 0; round < options.repeats; ++round) {
    for (Work& work : works) {
      if (!run_round(model.get(), plain_model.get(), request.options, work)) {
        return set_exit_code(128 + work.answer.signal);
      }
    }
    show_progress("answer with speculation and without", round + 1, options.repeats);
  }
  end_progress();
  const nlohmann::ordered_json json = workload_json(options, model.get(), works);
  if (options.json) return print_json(json);
  print_text(to_text(json));
}

}  // namespace lockstep::cli
