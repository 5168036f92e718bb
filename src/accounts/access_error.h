// What an account's data refuse to a caller.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/error.h"

namespace lockstep::accounts {

enum class Reason : uint8_t {
  Forbidden,  // HTTP 403: the role or the key's scopes do not allow it
  NotFound,   // 404: there is no such thing, or it is another's
  Invalid,    // 400: a value that cannot be
  Conflict,   // 409: it is there already, or something else needs it
};

// A user's error with a reason. The message is one sentence for the client.
class AccessError : public Error {
 public:
  AccessError(Reason reason, const std::string& message) : Error(ErrorKind::User, message), reason_(reason) {}
  Reason reason() const { return reason_; }

 private:
  Reason reason_;
};

template <class... Args>
[[noreturn]] void refuse(Reason reason, fmt::format_string<Args...> format, Args&&... args) {
  throw AccessError(reason, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lockstep::accounts
