// The subcommands: each adds itself to the command line and runs when it is chosen. One file a command.
#pragma once

#include <CLI/CLI.hpp>

namespace lockstep::cli {

void add_accounts(CLI::App& app);
void add_run(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_eval(CLI::App& app);
void add_compile(CLI::App& app);
void add_inspect(CLI::App& app);
void add_verify(CLI::App& app);
void add_diff(CLI::App& app);
void add_bench(CLI::App& app);
void add_models(CLI::App& app);
void add_cache(CLI::App& app);
void add_chat(CLI::App& app);
void add_machine(CLI::App& app);
void add_replay(CLI::App& app);
void add_serve(CLI::App& app);

}  // namespace lockstep::cli
