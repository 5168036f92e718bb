// What the commands share of the terminal: progress, output, interrupts.
#pragma once

#include <atomic>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lockstep::cli {

// Shows long work on standard error: one changing line on a terminal; elsewhere one line for each new `what`
// that takes more than two seconds.
void show_progress(const std::string& what, uint64_t done, uint64_t total);
// Clears the line; call before anything else is written.
void end_progress();
void show_warning(const std::string& message);

// Standard output; print_model_text is for what a model wrote: on a terminal its control characters other
// than newline and tab, which could command the terminal, are shown as U+FFFD. flush_output throws a
// machine's error when something could not be written.
void print_text(std::string_view text);
void print_model_text(std::string_view text);
void print_json(const nlohmann::ordered_json& json);
void flush_output();

// SIGINT and SIGTERM end the process with one sentence and the code 128 + signal, unless a
// DeferredInterrupt lives: then they only set its flag.
void install_interrupt_handler();

class DeferredInterrupt {
 public:
  // May nest: the signal is one for all, and only the outermost forgets what came before it.
  DeferredInterrupt();
  ~DeferredInterrupt();
  // The signal that came since the last reset, or 0.
  int signal() const;
  void reset();
};

// The exit code of a command that ends without an error: 0 unless set.
void set_exit_code(int code);
int exit_code();

}  // namespace lockstep::cli
