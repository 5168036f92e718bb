// lockstep chat: a conversation with a model.
#include <memory>

#include "base/error.h"
#include "cli/chat_session.h"
#include "cli/command.h"

namespace lockstep::cli {

namespace {

struct ChatOptions {
  ModelOptions model;
  EngineOptions engine;
  SamplingOptions sampling;
  std::string system, load;
};

void run(const ChatOptions& options) {
  Conversation conversation;
  if (!options.load.empty()) conversation = read_conversation(options.load);
  if (!options.system.empty()) {
    check_message_text(options.system, "the system message");
    conversation.system = options.system;
  }
  const ModelHandle model = load_model(options.model, options.engine);
  lockstep_model_info info{};
  lockstep_describe(model.get(), &info);
  if (info.has_chat_template == 0) {
    user_error(
        "{}: the model has no chat template, which a chat needs; 'lockstep run --raw' gives it plain text",
        info.name);
  }
  const RequestOptions request(options.sampling, options.model.chunk);
  ChatSession(model.get(), request, std::move(conversation)).run();
}

}  // namespace

void add_chat(CLI::App& app) {
  CLI::App* command = app.add_subcommand("chat", "Talk with a model");
  auto options = std::make_shared<ChatOptions>();
  options->sampling.tokens_max = 0;
  command->add_option("--system", options->system, "a system message before the conversation");
  command->add_option("--load", options->load, "go on with a conversation that /save wrote")
      ->type_name("FILE");
  options->model.add(*command);
  options->engine.add(*command);
  options->sampling.add(*command);
  command->footer(
      "\nExample:\n  lockstep chat --system \"Answer in one sentence.\"\n\n"
      "/help at the prompt lists its commands. Where standard input is no terminal, its lines are taken one\n"
      "after another: messages and commands.");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
