// lockstep serve: OpenAI's and GroqCloud's API over HTTP.
#include <filesystem>
#include <memory>

#include "api/running_model.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/serve_options.h"
#include "http/server.h"
#include "server/api_service.h"
#include "server/cors.h"
#include "server/log.h"

namespace lockstep::cli {

namespace {

server::ServedModel served_model(api::RunningModel& running, const ServeOptions& options) {
  std::vector<std::string> names = options.names;
  if (names.empty()) names = {std::filesystem::path(running.loaded.path).stem().string()};
  return {.ids = std::move(names),
          .fingerprint = running.fingerprint,
          .context = running.target->context(),
          .chunk = options.model.chunk,
          .engine = *running.engine,
          .tokenizer = *running.tokenizer,
          .chat_template = running.chat_template ? &*running.chat_template : nullptr};
}

void run(const ServeOptions& options) {
  options.check();
  http::Server http_server(options.http);  // before the model: its engine wakes the server until it ends
  const ModelHandle model = load_model(options.model, options.engine);
  server::Log log(options.log_level, options.log_format);
  server::ApiOptions api = options.api;
  api.log = &log;
  api.connections = [&] { return http_server.connections(); };
  server::ApiService service(served_model(api::running_model(*model), options), api);
  server::Cors cors(service, options.cors_origins);
  http_server.listen();
  print_text(fmt::format("{}/v1\n", http_server.url()));
  flush_output();
  log.write(server::Log::Level::Info, "start", {{"url", http_server.url()}, {"version", lockstep_version()}});
  http_server.run(cors);
  log.write(server::Log::Level::Info, "stop", server::ReplyJson::object());
}

}  // namespace

void add_serve(CLI::App& app) {
  CLI::App* command = app.add_subcommand("serve", "Serve OpenAI's and GroqCloud's API over HTTP");
  auto options = std::make_shared<ServeOptions>();
  options->add(*command);
  command->footer("\nExample:\n  lockstep serve --port 8080\n\ndocs/server.md has what is answered and how.");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
