// lockstep serve: OpenAI's and GroqCloud's API over HTTP.
#include <algorithm>
#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>
#include <filesystem>
#include <memory>
#include <optional>

#include "accounts/accounts.h"
#include "accounts/calendar.h"
#include "accounts/journal.h"
#include "api/running_model.h"
#include "cli/command.h"
#include "cli/config_file.h"
#include "cli/console.h"
#include "cli/serve_options.h"
#include "http/server.h"
#include "server/api_service.h"
#include "server/cors.h"
#include "server/log.h"

namespace lockstep::cli {

namespace {

server::ServedModel served_model(api::RunningModel& running, const ServeOptions& options) {
  std::vector<std::string> names;
  for (const std::string& name : options.names) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
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

void run(const ServeOptions& options) {
  options.check();
  std::optional<accounts::Price> price;
  if (!options.price.empty()) price = parse_price(options.price);
  http::Server http_server(options.http);  // before the model: its engine wakes the server until it ends
  const ModelHandle model = load_model(options.model, options.engine);
  const server::ServedModel served = served_model(api::running_model(*model), options);
  const std::filesystem::path data_folder = options.database.folder();
  const std::unique_ptr<database::Database> database = options.database.open();
  accounts::Accounts accounts(*database);
  const std::optional<accounts::NewKey> first = accounts.first_start(!options.api.open);
  if (first) print_text(fmt::format("key, shown only now: {}\n", first->secret));
  accounts.restore_limits(accounts::steady_now_ms());
  accounts::Journal journal(accounts);
  server::Log log(options.log_level, options.log_format);
  server::ApiOptions api = options.api;
  api.data_folder = data_folder;
  api.log = &log;
  api.local_names_only = api.open && http_server.is_local();
  api.connections = [&] { return http_server.connections(); };
  if (price) api.prices.set(served.ids.front(), *price);
  server::ApiService service(served, accounts, journal, std::move(api));
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
  auto config_file = std::make_shared<std::string>();
  auto print_config = std::make_shared<bool>(false);
  command
      ->add_option("--config", *config_file,
                   "TOML file with settings, a key for each of these options; what is said here counts more")
      ->type_name("FILE");
  command->add_flag("--print-config", *print_config, "only print all settings as such a file");
  command->footer("\nExample:\n  lockstep serve --port 8080\n\ndocs/server.md has what is answered and how.");
  command->callback([=] {
    if (!config_file->empty()) apply_config_file(*command, *config_file);
    if (*print_config) return print_text(options_as_toml(*command, {"help", "config", "print-config"}));
    run(*options);
  });
}

}  // namespace lockstep::cli
