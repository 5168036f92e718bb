// Errors of three kinds that are never mixed: the user's (a file, a flag, a request), the machine's
// (memory, disk, a peer) and ours (a broken invariant). Thrown while loading, parsing and compiling;
// never thrown inside a step, which reports through its result.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace lockstep {

enum class ErrorKind { User, Machine, Internal };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }
  // The exit code of the command line: 2 the user's, 3 the machine's, 70 ours (sysexits EX_SOFTWARE).
  int exit_code() const;

 private:
  ErrorKind kind_;
};

// One sentence: what is wrong, where, and what would be right.
template <class... Args>
[[noreturn]] void user_error(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::User, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void machine_error(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::Machine, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void internal_error(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::Internal, fmt::format(format, std::forward<Args>(args)...));
}

// The text of errno's value `code`; thread-safe.
std::string errno_text(int code);

}  // namespace lockstep

// States an invariant of ours. Never used on bytes that came from outside.
#define LOCKSTEP_CHECK(condition)                                                              \
  do {                                                                                         \
    if (!(condition)) ::lockstep::internal_error("{}:{}: {}", __FILE__, __LINE__, #condition); \
  } while (false)
