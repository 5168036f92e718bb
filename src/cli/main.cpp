// lockstep: a language model compiled once into a static program, and run with the same bits everywhere.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/console.h"
#include "lockstep/lockstep.h"

namespace {

int report(const std::string& message, int code) {
  lockstep::cli::end_progress();
  fmt::print(stderr, "lockstep: {}\n", message);
  return code;
}

int run(int argc, char** argv) {
  CLI::App app{
      "An open LPU: compiles a language model once into a static program and runs it with the same bits "
      "everywhere.",
      "lockstep"};
  app.set_version_flag("--version", fmt::format("lockstep {} (numerics contract 1)", lockstep_version()));
  app.require_subcommand(1);
  app.footer(
      "\nExamples:\n  lockstep run \"Why is the sky blue?\"\n  lockstep chat\n  lockstep bench\n\n"
      "'lockstep COMMAND --help' explains a command.");
  lockstep::cli::add_run(app);
  lockstep::cli::add_chat(app);
  lockstep::cli::add_serve(app);
  lockstep::cli::add_accounts(app);
  lockstep::cli::add_compile(app);
  lockstep::cli::add_inspect(app);
  lockstep::cli::add_verify(app);
  lockstep::cli::add_diff(app);
  lockstep::cli::add_tokenize(app);
  lockstep::cli::add_eval(app);
  lockstep::cli::add_bench(app);
  lockstep::cli::add_models(app);
  lockstep::cli::add_cache(app);
  lockstep::cli::add_machine(app);
  lockstep::cli::add_replay(app);
  if (argc < 2) {
    fmt::print(stderr, "{}", app.help());
    return 2;
  }
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (argv[1][0] != '-' && std::find(names.begin(), names.end(), argv[1]) == names.end()) {
    return report(fmt::format("{} is no command; possible: {}", argv[1], fmt::join(names, ", ")), 2);
  }
  try {
    app.parse(argc, argv);
    lockstep::cli::flush_output();
    return lockstep::cli::exit_code();
  } catch (const CLI::Success& success) {
    std::ostringstream text;
    const int code = app.exit(success, text, text);
    lockstep::cli::print_text(text.str());
    lockstep::cli::flush_output();
    return code;
  } catch (const CLI::ParseError& error) {
    std::string command = app.get_name();
    for (std::vector<CLI::App*> parsed = app.get_subcommands(); !parsed.empty();
         parsed = parsed.front()->get_subcommands()) {
      command += " " + parsed.front()->get_name();
    }
    return report(fmt::format("{}; '{} --help' shows what is possible", error.what(), command), 2);
  }
}

}  // namespace

int main(int argc, char** argv) {
  lockstep::install_bus_error_handler();
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit becomes an error of the write
  lockstep::cli::install_interrupt_handler();
  try {
    return run(argc, argv);
  } catch (const lockstep::Error& error) {
    const bool ours = error.kind() == lockstep::ErrorKind::Internal;
    return report(ours ? fmt::format("a bug of ours, please report it: {}", error.what()) : error.what(),
                  error.exit_code());
  } catch (const std::bad_alloc&) {
    return report("out of memory", 3);
  } catch (const std::exception& error) {
    return report(fmt::format("a bug of ours, please report it: {}", error.what()), 70);
  }
}
