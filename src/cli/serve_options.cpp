#include "cli/serve_options.h"

#include <map>
#include <string>
#include <utility>

#include "accounts/names.h"
#include "base/error.h"
#include "base/printable.h"
#include "server/cors.h"

namespace lockstep::cli {

namespace {

constexpr uint32_t kDay_s = 86400;
const CLI::Range kBodyBytes(size_t{1024}, size_t{1} << 30);

using server::Log;
const std::map<std::string, Log::Level> kLogLevels = {{"debug", Log::Level::Debug},
                                                      {"info", Log::Level::Info},
                                                      {"warn", Log::Level::Warn},
                                                      {"off", Log::Level::Off}};

void add_address(CLI::App& command, http::Options& http) {
  command.add_option("--host", http.host, "address to listen on; 0.0.0.0: all, for anyone who reaches it")
      ->capture_default_str();
  command.add_option("--port", http.port, "0: a free one")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  command
      .add_option("--cert", http.certificate_file,
                  "PEM file of the server's certificate, after it those up to its root: HTTPS")
      ->type_name("FILE");
  command.add_option("--key", http.key_file, "PEM file of the certificate's key")->type_name("FILE");
}

void add_accounts(CLI::App& command, ServeOptions& options) {
  options.database.add(command);
  command.add_flag("--no-keys", options.api.open,
                   "let everyone who reaches the port do everything, as the first organisation's owner");
  command.add_option(
      "--price", options.price,
      "what tokens cost, for spend caps and usage: IN,OUT or IN,CACHED,OUT in USD for a million");
}

void add_limits(CLI::App& command, ServeOptions& options) {
  http::Options& http = options.http;
  command.add_option("--connections", http.connections_max, "connections at once; further ones wait")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1u << 20));
  command.add_option("--body-limit", http.body_bytes_max, "bytes of a request's body at the most")
      ->capture_default_str()
      ->check(kBodyBytes);
  command.add_option("--upload-limit", options.api.upload_bytes_max, "the same where a file is uploaded")
      ->capture_default_str()
      ->check(kBodyBytes);
  command
      .add_option("--project-files", options.api.files.project_bytes, "bytes of a project's files together")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 60));
  command
      .add_option("--body-memory", http.body_memory_bytes,
                  "bytes of all bodies together that are being read; further ones are sent away")
      ->capture_default_str()
      ->check(CLI::Range(size_t{1} << 20, size_t{1} << 40));
  command.add_option("--idle-time", http.idle_s, "seconds that a connection may wait between requests")
      ->capture_default_str()
      ->check(CLI::Range(1u, kDay_s));
  command.add_option("--write-time", http.write_s, "seconds that a client may take to read what is sent")
      ->capture_default_str()
      ->check(CLI::Range(1u, kDay_s));
  command.add_option("--drain-time", http.drain_s, "seconds for what runs when SIGTERM comes")
      ->capture_default_str()
      ->check(CLI::Range(0u, kDay_s));
}

void add_inference(CLI::App& command, ServeOptions& options) {
  command
      .add_option("--name", options.names,
                  "what clients call the model; may be given several times (default: its file's name)")
      ->allow_extra_args(false);
  command
      .add_option("--answers", options.api.inference.answers_max, "answers at once, waiting ones among them")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1u << 20));
  command.add_flag_callback(
      "--strict", [&options] { options.api.mode = server::Mode::Strict; },
      "refuse what GroqCloud refuses, to test programs against it");
  command
      .add_option("--batch-lines", options.api.batch_lines,
                  "lines of batches at once; they run when nobody else asks")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1024u));
  command
      .add_option("--kv-positions", options.engine.kv_positions,
                  "positions of all answers together, and never less than one context")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{0}, uint64_t{1} << 40));
}

void add_observation(CLI::App& command, ServeOptions& options) {
  command.add_flag("--open-metrics", options.api.open_metrics, "GET /metrics needs no key");
  command
      .add_option_function<std::string>(
          "--log-level", [&](const std::string& name) { options.log_level = kLogLevels.at(name); },
          "what is written to standard error: debug, info, warn, off")
      ->default_str("info")
      ->check(CLI::IsMember({"debug", "info", "warn", "off"}));
  command
      .add_option_function<std::string>(
          "--log-format",
          [&](const std::string& name) {
            options.log_format = name == "json" ? Log::Format::Json : Log::Format::Text;
          },
          "text, or json: an object a line")
      ->default_str("text")
      ->check(CLI::IsMember({"text", "json"}));
}

}  // namespace

void ServeOptions::add(CLI::App& command) {
  add_address(command, http);
  command
      .add_option("--cors-origin", cors_origins,
                  "pages of this origin may use the API, such as https://app.example; *: all; may be given "
                  "several times")
      ->allow_extra_args(false);
  add_accounts(command, *this);
  add_limits(command, *this);
  add_inference(command, *this);
  add_observation(command, *this);
  model.add(command);
  engine.add(command);
}

void ServeOptions::check() const {
  for (const std::string& origin : cors_origins) server::check_origin(origin);
  for (const std::string& name : names) {
    if (accounts::is_name(name)) continue;
    user_error("--name '{}': the name of a model is 1 to {} bytes of text without control characters",
               printable(name), accounts::kNameBytes_max);
  }
  // Large bodies leave a quarter of the memory to others.
  const size_t room = http.body_memory_bytes - http.body_memory_bytes / 4;
  for (const auto& [name, bytes] :
       {std::pair("--body-limit", http.body_bytes_max), std::pair("--upload-limit", api.upload_bytes_max)}) {
    if (bytes <= room) continue;
    user_error("{} {}: a body of this size needs --body-memory {} or more", name, bytes, (bytes + 2) / 3 * 4);
  }
}

}  // namespace lockstep::cli
