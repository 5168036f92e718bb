#include "cli/console.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "text/utf8.h"

namespace lockstep::cli {

namespace {

bool line_open = false;
std::atomic<int> deferred{0};
volatile std::sig_atomic_t pending_signal = 0;
int chosen_exit_code = 0;
int output_error = 0;  // errno of the first write to standard output that failed

void on_interrupt(int signal) {
  if (deferred > 0) {
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
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() && output_error == 0)
    output_error = errno;
}

void print_model_text(std::string_view text) {
  static const bool terminal = ::isatty(1) != 0;
  if (!terminal) return print_text(text);
  std::string shown;
  for (size_t at = 0; at < text.size();) {
    const text::Utf8Step step = text::decode_utf8(text, at);
    const bool control = step.code_point < 0x20 || (step.code_point >= 0x7f && step.code_point < 0xa0);
    const bool plain = !control || step.code_point == '\n' || step.code_point == '\t';
    text::append_utf8(shown, plain ? step.code_point : text::kReplacementCharacter);
    at += step.length;
  }
  print_text(shown);
}

void print_json(const nlohmann::ordered_json& json) {
  print_text(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void flush_output() {
  if (std::fflush(stdout) != 0 && output_error == 0) output_error = errno;
  if (output_error != 0) machine_error("standard output cannot be written: {}", errno_text(output_error));
}

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

DeferredInterrupt::DeferredInterrupt() {
  if (deferred == 0) pending_signal = 0;
  ++deferred;
}
DeferredInterrupt::~DeferredInterrupt() {
  --deferred;
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
