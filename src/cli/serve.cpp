// lockstep serve: OpenAI's and GroqCloud's API over HTTP.
#include <filesystem>
#include <memory>

#include "api/running_model.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "http/server.h"
#include "server/api_service.h"

namespace lockstep::cli {

namespace {

struct ServeOptions {
  ModelOptions model;
  EngineOptions engine;
  http::Options http;
  server::InferenceLimits limits;
  std::vector<std::string> names;
};

server::ServedModel served_model(api::RunningModel& running, const ServeOptions& options) {
  std::vector<std::string> names = options.names;
  if (names.empty()) names = {std::filesystem::path(running.loaded.path).stem().string()};
  return {.ids = std::move(names),
          .fingerprint = running.fingerprint,
          .context = running.target->context(),
          .file_bytes = std::filesystem::file_size(running.loaded.path),
          .chunk = options.model.chunk,
          .engine = *running.engine,
          .tokenizer = *running.tokenizer,
          .chat_template = running.chat_template ? &*running.chat_template : nullptr};
}

void run(const ServeOptions& options) {
  http::Server http_server(options.http);  // before the model: its engine wakes the server until it ends
  const ModelHandle model = load_model(options.model, options.engine);
  server::ApiService service(served_model(api::running_model(*model), options), options.limits);
  http_server.listen();
  print_text(fmt::format("http://{}/v1\n", http_server.address()));
  flush_output();
  http_server.run(service);
}

}  // namespace

void add_serve(CLI::App& app) {
  CLI::App* command = app.add_subcommand("serve", "Serve OpenAI's and GroqCloud's API over HTTP");
  auto options = std::make_shared<ServeOptions>();
  http::Options& http = options->http;
  command->add_option("--host", http.host, "address to listen on; 0.0.0.0: all, for anyone who reaches it")
      ->capture_default_str();
  command->add_option("--port", http.port, "0: a free one")->capture_default_str();
  command
      ->add_option("--name", options->names,
                   "what clients call the model; may be given several times (default: its file's name)")
      ->allow_extra_args(false);
  command->add_option("--answers", options->limits.answers_max, "answers at once, waiting ones among them")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1u << 20));
  command->add_option("--connections", http.connections_max, "connections at once; further ones wait")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1u << 20));
  command->add_option("--body-limit", http.body_bytes_max, "bytes of a request's body at the most")
      ->capture_default_str()
      ->check(CLI::Range(size_t{1024}, size_t{1} << 30));
  command->add_option("--idle-time", http.idle_s, "seconds that a connection may wait between requests")
      ->capture_default_str()
      ->check(CLI::Range(1u, 86400u));
  command->add_option("--write-time", http.write_s, "seconds that a client may take to read what is sent")
      ->capture_default_str()
      ->check(CLI::Range(1u, 86400u));
  command->add_option("--drain-time", http.drain_s, "seconds for what runs when SIGTERM comes")
      ->capture_default_str()
      ->check(CLI::Range(0u, 86400u));
  options->engine.kv_positions = 32768;
  command
      ->add_option("--kv-positions", options->engine.kv_positions,
                   "positions of all answers together, and never less than one context")
      ->capture_default_str();
  options->model.add(*command);
  options->engine.add(*command);
  command->footer("\nExample:\n  lockstep serve --port 8080\n\ndocs/server.md has what is answered and how.");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
