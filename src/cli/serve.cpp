// lockstep serve: OpenAI's and GroqCloud's API over HTTP.
#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>
#include <filesystem>
#include <memory>

#include "accounts/accounts.h"
#include "accounts/calendar.h"
#include "accounts/journal.h"
#include "accounts/schema.h"
#include "api/running_model.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "http/server.h"
#include "server/api_service.h"
#include "store/data_folder.h"

namespace lockstep::cli {

namespace {

struct ServeOptions {
  ModelOptions model;
  EngineOptions engine;
  http::Options http;
  server::ApiOptions api;
  std::string data_folder;
  std::string database;  // empty: a file in the data folder
  std::string price;
  std::vector<std::string> names;
};

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

// "IN,OUT" or "IN,CACHED,OUT", in USD for a million tokens.
accounts::Price parse_price(const std::string& text) {
  std::vector<std::string> parts;
  boost::split(parts, text, boost::is_any_of(","));
  if (parts.size() != 2 && parts.size() != 3) {
    user_error("--price {}: say IN,OUT or IN,CACHED,OUT in USD for a million tokens, such as 0.05,0.08",
               text);
  }
  accounts::Price price;
  price.input = accounts::parse_usd(parts.front(), "--price");
  price.cached_input = parts.size() == 3 ? accounts::parse_usd(parts[1], "--price") : price.input;
  price.output = accounts::parse_usd(parts.back(), "--price");
  return price;
}

// The database with its tables, in the data folder if no other is named.
std::unique_ptr<database::Database> open_database(const ServeOptions& options) {
  const std::filesystem::path folder =
      options.data_folder.empty() ? store::default_data_folder() : std::filesystem::path(options.data_folder);
  store::make_data_folder(folder);
  const std::string place = options.database.empty() ? (folder / "lockstep.db").string() : options.database;
  auto database = std::make_unique<database::Database>(place);
  database::migrate(*database, accounts::schema());
  return database;
}

void run(const ServeOptions& options) {
  http::Server http_server(options.http);  // before the model: its engine wakes the server until it ends
  const ModelHandle model = load_model(options.model, options.engine);
  const server::ServedModel served = served_model(api::running_model(*model), options);
  const std::unique_ptr<database::Database> database = open_database(options);
  accounts::Accounts accounts(*database);
  const std::optional<accounts::NewOrganisation> first = accounts.first_start();
  if (first && !options.api.open) print_text(fmt::format("key, shown only now: {}\n", first->key.secret));
  accounts.restore_limits(accounts::now_ms());
  accounts::Journal journal(accounts);
  server::ApiOptions api = options.api;
  if (!options.price.empty()) {
    for (const std::string& name : served.ids) api.prices.set(name, parse_price(options.price));
  }
  server::ApiService service(served, accounts, journal, std::move(api));
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
  command->add_option("--data-dir", options->data_folder,
                      "folder of the database and of clients' files (default: $LOCKSTEP_DATA, or "
                      "~/.local/share/lockstep)");
  command->add_option(
      "--db", options->database,
      "postgresql://USER:PASSWORD@HOST:PORT/NAME, or a file (default: lockstep.db in the data folder)");
  command->add_flag("--no-keys", options->api.open,
                    "let everyone who reaches the port do everything, as the first organisation's owner");
  command->add_option(
      "--price", options->price,
      "what tokens cost, for spend caps and usage: IN,OUT or IN,CACHED,OUT in USD for a million");
  command
      ->add_option("--answers", options->api.limits.answers_max, "answers at once, waiting ones among them")
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
