// lockstep replay: computes a recorded answer again and compares its digest.
#include <memory>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/record.h"

namespace lockstep::cli {

namespace {

struct ReplayOptions {
  ModelOptions model;
  EngineOptions engine;
  std::string record;
  bool json = false;
};

void run(const ReplayOptions& options) {
  const Record record = read_record(options.record);
  if (record.tokens.empty())
    user_error("{}: the record has no tokens: there is nothing to replay", options.record);
  const ModelHandle model = load_model(options.model, options.engine);
  lockstep_model_info info{};
  lockstep_describe(model.get(), &info);
  if (record.fingerprint != info.fingerprint) {
    user_error("{}: was made by the fingerprint {} and {} has {}: give the same model, --weights and --kv",
               options.record, record.fingerprint.substr(0, 16), info.name,
               std::string(info.fingerprint).substr(0, 16));
  }
  // What was recorded is all there is: an answer that was cut off is computed up to the same token.
  SamplingOptions sampling = record.sampling;
  sampling.tokens_max = static_cast<uint32_t>(record.tokens.size());
  const RequestOptions request(sampling, options.model.chunk);
  const Answer answer = generate(model.get(), record.prompt, request.options, [](std::string_view) {});
  if (answer.signal != 0) {
    show_warning("interrupted");
    set_exit_code(128 + answer.signal);
    return;
  }
  const bool equal = answer.digest == record.digest && answer.tokens == record.tokens;
  if (options.json) {
    print_json({{"equal", equal}, {"digest", answer.digest}, {"recorded", record.digest}});
  } else {
    print_text(equal ? fmt::format("equal: {} tokens, {}\n", answer.tokens.size(), answer.digest)
                     : fmt::format("differs: recorded {}, computed {}\n", record.digest, answer.digest));
  }
  if (!equal) set_exit_code(1);
}

}  // namespace

void add_replay(CLI::App& app) {
  CLI::App* command = app.add_subcommand("replay", "Compute a recorded answer again and compare every bit");
  auto options = std::make_shared<ReplayOptions>();
  command->add_option("record", options->record, "a file that 'lockstep run --record FILE' wrote")
      ->required();
  command->add_flag("--json", options->json, "print JSON");
  options->model.add(*command);
  options->engine.add(*command);
  command->footer(
      "\nExample:\n  lockstep run --record answer.json \"Why is the sky blue?\"\n  lockstep replay "
      "answer.json\n\n"
      "The exit code is 0 when the bits are equal and 1 when they differ.");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
