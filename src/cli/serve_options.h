// The options of lockstep serve.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/database_options.h"
#include "cli/options.h"
#include "http/server.h"
#include "server/api_service.h"
#include "server/log.h"

namespace lockstep::cli {

struct ServeOptions {
  ServeOptions() { engine.kv_positions = 32768; }

  ModelOptions model;
  EngineOptions engine;
  http::Options http;
  server::ApiOptions api;
  DatabaseOptions database;
  std::string price;  // of tokens, empty: none
  std::vector<std::string> names;
  std::vector<std::string> cors_origins;
  server::Log::Level log_level = server::Log::Level::Info;
  server::Log::Format log_format = server::Log::Format::Text;

  void add(CLI::App& command);
  // Throws a user's error for what is no origin or name and for options that do not go together.
  void check() const;
};

}  // namespace lockstep::cli
