// lockstep run: one prompt, one answer.
#include <algorithm>
#include <csignal>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/conversation.h"
#include "cli/options.h"
#include "cli/record.h"

namespace lockstep::cli {

namespace {

struct RunOptions {
  ModelOptions model;
  EngineOptions engine;
  SamplingOptions sampling;
  std::string prompt, file, system, record;
  bool raw = false, json = false;
};

// The prompt's text as the model is to see it.
std::string prompt_text(lockstep_model* model, const RunOptions& options) {
  const std::string text = read_prompt(options.prompt, options.file);
  if (options.raw) return text;
  check_message_text(text, "the prompt");
  std::vector<lockstep_message> messages;
  if (!options.system.empty()) messages.push_back({"system", options.system.c_str()});
  messages.push_back({"user", text.c_str()});
  return apply_template(model, messages);
}

// What simulated chips did, and how fast they are: not the simulation.
nlohmann::ordered_json chips_json(const lockstep_model_info& info) {
  const double rows = std::max(1.0, static_cast<double>(info.chip_rows));
  const double cycles_per_token = static_cast<double>(info.chip_cycles) / rows;
  nlohmann::ordered_json json;
  json["count"] = info.chips;
  json["tokens"] = info.chip_rows;
  json["cycles"] = info.chip_cycles;
  json["cycles_per_token"] = cycles_per_token;
  json["tokens_per_second"] = cycles_per_token == 0 ? 0 : info.chip_hz / cycles_per_token;
  return json;
}

nlohmann::ordered_json run_json(lockstep_model* model, size_t prompt_tokens, const Answer& answer,
                                double load_s) {
  lockstep_model_info info{};
  lockstep_describe(model, &info);
  nlohmann::ordered_json json;
  json["model"] = info.name;
  json["fingerprint"] = info.fingerprint;
  json["program"] = info.program;
  json["machine"] = info.machine;
  if (info.chips != 0) json["chips"] = chips_json(info);
  json["prompt_tokens"] = prompt_tokens;
  json["tokens"] = answer.tokens;
  json["text"] = answer.text;
  json["finish_reason"] = answer.finish_reason;
  json["digest"] = answer.digest;
  json["timing"] = timing_json(answer, prompt_tokens, load_s);
  return json;
}

void run(const RunOptions& options) {
  if (options.raw && !options.system.empty()) user_error("--system needs the chat template; leave out --raw");
  const Stopwatch watch;
  const ModelHandle model = load_model(options.model, options.engine);
  const double load_s = watch.seconds();
  const std::vector<int32_t> prompt = tokenize(model.get(), prompt_text(model.get(), options), true);
  const RequestOptions request(options.sampling, options.model.chunk);
  const Answer answer = generate(model.get(), prompt, request.options, [&](std::string_view text) {
    if (options.json) return;
    print_model_text(text);
    flush_output();
  });
  if (!options.record.empty()) write_record(options.record, model.get(), prompt, options.sampling, answer);
  if (options.json) {
    print_json(run_json(model.get(), prompt.size(), answer, load_s));
  } else {
    print_text("\n");
    if (answer.context_full)
      show_warning("the answer ends here because the context is full; --context makes room for more");
  }
  if (answer.signal != 0) set_exit_code(128 + answer.signal);
}

}  // namespace

void add_run(CLI::App& app) {
  CLI::App* command = app.add_subcommand("run", "Answer one prompt");
  auto options = std::make_shared<RunOptions>();
  command->add_option("prompt", options->prompt,
                      "the prompt; standard input when neither it nor -f is given");
  command->add_option("-f,--file", options->file, "read the prompt from a file")->type_name("FILE");
  command->add_option("--system", options->system, "a system message before the prompt");
  command->add_flag("--raw", options->raw, "give the prompt as it is, without the chat template");
  command->add_flag("--json", options->json, "print one JSON object instead of the text");
  command->add_option("--record", options->record, "write a record for 'lockstep replay'")->type_name("FILE");
  options->model.add(*command);
  options->engine.add(*command);
  options->sampling.add(*command);
  command->footer("\nExample:\n  lockstep run -n 100 \"Why is the sky blue?\"");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
