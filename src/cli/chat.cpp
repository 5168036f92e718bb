// lockstep chat: a conversation with a model.
#include <memory>
#include <vector>

#include "base/error.h"
#include "cli/chat_session.h"
#include "cli/command.h"
#include "cli/local_partner.h"
#include "cli/server_partner.h"

namespace lockstep::cli {

namespace {

struct ChatOptions {
  ModelOptions model;
  EngineOptions engine;
  ServerOptions server;
  SamplingOptions sampling;
  std::string system, load;
  std::vector<const CLI::Option*> of_model_here;  // that mean nothing where a server has the model
};

void check_for_server(const ChatOptions& options) {
  for (const CLI::Option* option : options.of_model_here) {
    if (option->count() == 0) continue;
    const std::string name = option->get_name();
    if (name == "--model") {
      user_error(
          "-m {}: with --server no model is loaded here; --server-model NAME chooses one of the server's",
          options.model.model);
    }
    user_error("{}: this is about a model that is loaded here, and with --server none is", name);
  }
}

void run(const ChatOptions& options) {
  Conversation conversation;
  if (!options.load.empty()) conversation = read_conversation(options.load);
  if (!options.system.empty()) {
    check_message_text(options.system, "the system message");
    conversation.system = options.system;
  }
  const RequestOptions request(options.sampling, options.model.chunk);
  if (options.server.url) {
    check_for_server(options);
    ServerPartner partner(options.server, request.options);
    return ChatSession(partner, std::move(conversation)).run();
  }
  const ModelHandle model = load_model(options.model, options.engine);
  LocalPartner partner(model.get(), request);
  ChatSession(partner, std::move(conversation)).run();
}

}  // namespace

void add_chat(CLI::App& app) {
  CLI::App* command = app.add_subcommand("chat", "Talk with a model, here or behind a server");
  auto options = std::make_shared<ChatOptions>();
  options->sampling.tokens_max = 0;
  command->add_option("--system", options->system, "a system message before the conversation");
  command->add_option("--load", options->load, "go on with a conversation that /save wrote")
      ->type_name("FILE");
  options->server.add(*command);
  const size_t others = command->get_options().size();
  options->model.add(*command);
  options->engine.add(*command);
  const std::vector<CLI::Option*> all = command->get_options();
  options->of_model_here.assign(all.begin() + static_cast<ptrdiff_t>(others), all.end());
  options->sampling.add(*command);
  command->footer(
      "\nExamples:\n  lockstep chat --system \"Answer in one sentence.\"\n"
      "  lockstep chat --server http://127.0.0.1:8080 --temperature 0.8 --seed 7\n"
      "  lockstep chat --server https://api.groq.com/openai/v1 --api-key-file groq.key --server-model "
      "NAME\n\n"
      "/help at the prompt lists its commands. Where standard input is no terminal, its lines are taken one\n"
      "after another: messages and commands. With --server, options about a model that is loaded here are\n"
      "refused; --context, --threads and the like are the server's.");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
