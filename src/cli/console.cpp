#include "cli/console.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace lockstep::cli {

namespace {

bool line_open = false;
std::atomic<bool> deferred{false};
volatile std::sig_atomic_t pending_signal = 0;
int chosen_exit_code = 0;

void on_interrupt(int signal) {
  if (deferred) {
    pending_signal = signal;
    return;
  }
  static constexpr char kMessage[] = "\nlockstep: interrupted\n";
  [[maybe_unused]] ssize_t ignored = ::write(2, kMessage, sizeof(kMessage) - 1);
  ::_exit(128 + signal);
}

}  // namespace

void show_progress(const std::string& what, uint64_t done, uint64_t total) {
  using Clock = std::chrono::steady_clock;
  static std::string current;
  static Clock::time_point started, shown;
  static bool announced = false;
  const Clock::time_point now = Clock::now();
  if (what != current) {
    current = what;
    started = now;
    announced = false;
  }
  if (::isatty(2) == 0) {
    if (!announced && now - started > std::chrono::seconds(2)) {
      fmt::print(stderr, "{} ...\n", what);
      announced = true;
    }
    return;
  }
  if (now - shown < std::chrono::milliseconds(50) && done != total) return;
  shown = now;
  line_open = true;
  if (total == 0) {
    fmt::print(stderr, "\r\x1b[K{} ... {} s", what, done);
  } else {
    fmt::print(stderr, "\r\x1b[K{} {}% ({} of {})", what, done * 100 / total, done, total);
  }
  std::fflush(stderr);
}

void end_progress() {
  if (!line_open) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  line_open = false;
}

void show_warning(const std::string& message) {
  end_progress();
  fmt::print(stderr, "lockstep: {}\n", message);
}

void print_text(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void print_json(const nlohmann::ordered_json& json) {
  print_text(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void flush_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    machine_error("standard output cannot be written: {}", errno_text(errno));
  }
}

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

DeferredInterrupt::DeferredInterrupt() {
  pending_signal = 0;
  deferred = true;
}
DeferredInterrupt::~DeferredInterrupt() {
  deferred = false;
}
int DeferredInterrupt::signal() const {
  return pending_signal;
}
void DeferredInterrupt::reset() {
  pending_signal = 0;
}

void set_exit_code(int code) {
  chosen_exit_code = code;
}
int exit_code() {
  return chosen_exit_code;
}

}  // namespace lockstep::cli
