// What `lockstep inspect` shows of a run: an LPU program's entry on the simulator.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "program/program.h"

namespace lockstep::cli {

struct InspectRunOptions {
  std::string trace, html, entry;
  bool energy = false;
  std::optional<uint64_t> from, to;

  void add(CLI::App& command);
  bool wanted() const { return energy || !trace.empty() || !html.empty(); }
  // Throws a user's error for options that belong to a run where none is wanted.
  void require_consistent() const;
};

// Runs the program once and writes what the options ask for. `bytes`: the program's file, `path` its name.
void inspect_run(const program::Program& program, Bytes bytes, const std::string& path,
                 const InspectRunOptions& options, bool json);

}  // namespace lockstep::cli
