// The options of lockstep serve.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/options.h"
#include "http/server.h"
#include "server/inference.h"

namespace lockstep::cli {

struct ServeOptions {
  ServeOptions() { engine.kv_positions = 32768; }

  ModelOptions model;
  EngineOptions engine;
  http::Options http;
  server::InferenceLimits limits;
  std::vector<std::string> names;

  void add(CLI::App& command);
};

}  // namespace lockstep::cli
