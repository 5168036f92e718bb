// lockstep eval: the likelihood of a text, and every position's logits.
#include <memory>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/npy.h"
#include "cli/options.h"
#include "engine/evaluate.h"
#include "graph/interpreter.h"
#include "text/chat_prompt.h"

namespace lockstep::cli {

namespace {

struct EvalOptions {
  ModelOptions model;
  std::string file, tokens, logits;
  bool json = false;
};

void run(const EvalOptions& options) {
  if (options.file.empty() == options.tokens.empty())
    user_error("one of -f TEXT and --tokens IDS.json is wanted");
  const Stopwatch watch;
  const api::LoadedProgram loaded = api::load_program(options.model.path(), options.model.load_options());
  end_progress();
  const std::vector<int32_t> tokens =
      options.tokens.empty()
          ? text::tokenize_prompt(api::load_tokenizer(loaded.program), read_text_file(options.file), false)
          : read_token_file(options.tokens);
  if (tokens.size() == 1 && options.logits.empty()) {
    user_error(
        "there is one token, and the likelihood is that of a token after others: two or more are wanted");
  }
  for (int32_t token : tokens) {
    if (static_cast<uint32_t>(token) >= loaded.program.vocabulary) {
      user_error("token {} is not in the vocabulary of {} tokens", token, loaded.program.vocabulary);
    }
  }
  const auto target = api::load_target(loaded.program, options.model.host_options());
  std::unique_ptr<NpyWriter> npy;
  if (!options.logits.empty()) {
    npy = std::make_unique<NpyWriter>(options.logits,
                                      std::vector<uint64_t>{tokens.size(), loaded.program.vocabulary});
  }
  const double load_s = watch.seconds();
  const engine::Evaluation result = engine::evaluate(
      *target, tokens, options.model.chunk, [&](uint32_t position, std::span<const float> row) {
        if (npy) npy->append(row);
        if (watch.seconds() > 2) show_progress("evaluate", position + 1, tokens.size());
      });
  end_progress();
  if (npy) npy->commit();
  if (options.json) {
    nlohmann::ordered_json json;
    json["model"] = loaded.program.model_name;
    json["fingerprint"] = hex(loaded.program.fingerprint);
    json["program"] = hex(loaded.program_hash);
    json["tokens"] = result.tokens;
    json["nll"] = result.nll;
    json["perplexity"] = result.perplexity;
    json["digest"] = result.digest;
    json["timing"] = {{"load_s", load_s}, {"eval_s", watch.seconds() - load_s}};
    return print_json(json);
  }
  print_text(
      fmt::format("tokens      {}\nnll         {:.6f} nats a token\nperplexity  {:.4f}\ndigest      {}\n",
                  result.tokens, result.nll, result.perplexity, result.digest));
}

}  // namespace

void add_eval(CLI::App& app) {
  CLI::App* command = app.add_subcommand("eval", "Measure how likely a text is");
  auto options = std::make_shared<EvalOptions>();
  command->add_option("-f,--file", options->file, "the text")->type_name("TEXT");
  command->add_option("--tokens", options->tokens, "token ids instead of a text")->type_name("IDS.json");
  command->add_option("--logits", options->logits, "write float32 [positions, vocabulary]")
      ->type_name("OUT.npy");
  command->add_flag("--json", options->json,
                    "print JSON: tokens, nll (mean, nats a token), perplexity, digest");
  options->model.add(*command);
  command->footer("\nExample:\n  lockstep eval -f README.md --json");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
