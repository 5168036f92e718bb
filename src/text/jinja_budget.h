// What a template may use while it is parsed and rendered, and how it fails. Every loop, copy and nesting
// that a template or its variables can drive is charged here, so that no input hangs or exhausts memory.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace lockstep::text::jinja {

// What is wrong with a template or its variables, without the place; ChatTemplate adds the template's name
// and the line and makes a user's Error of it. `line` is 0 where only the interpreter knows it.
class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& message, int line = 0) : std::runtime_error(message), line_(line) {}
  int line() const { return line_; }

 private:
  int line_;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Failure(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_at(int line, fmt::format_string<Args...> format, Args&&... args) {
  throw Failure(fmt::format(format, std::forward<Args>(args)...), line);
}

// The nesting that the parser accepts (of expressions and of statements) and that values may have.
inline constexpr int kMaximumNesting = 200;

struct Limits {
  uint64_t maximum_steps = 10'000'000;             // one per node evaluated, item made and 32 bytes written
  size_t maximum_string_bytes = 16 * 1024 * 1024;  // of any string, the rendered text included
  int maximum_evaluation_depth = 800;              // nodes on the way from the template to the deepest one
};

// The largest range() there may be, as in Jinja2's sandbox.
inline constexpr int64_t kMaximumRangeItems = 100'000;

class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}

  const Limits& limits() const { return limits_; }

  void spend(uint64_t steps) {
    if (steps > limits_.maximum_steps - spent_) {
      spent_ = limits_.maximum_steps;
      fail("rendering takes more than {} steps", limits_.maximum_steps);
    }
    spent_ += steps;
  }

  // Charges a string of `bytes` before it is made.
  void spend_string(size_t bytes) {
    if (bytes > limits_.maximum_string_bytes) {
      fail("a text of more than {} bytes would be made", limits_.maximum_string_bytes);
    }
    spend(1 + bytes / 32);
  }

 private:
  Limits limits_;
  uint64_t spent_ = 0;
};

}  // namespace lockstep::text::jinja
