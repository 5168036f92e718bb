// Errors as OpenAI's and Groq's clients read them.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "accounts/access_error.h"
#include "base/error.h"
#include "http/service.h"

namespace lockstep::server {

// Thrown while a request is read; becomes its reply.
class ApiError : public std::runtime_error {
 public:
  // `code` and `param` may be empty. The type follows from the status.
  ApiError(unsigned status, std::string code, std::string param, const std::string& message)
      : std::runtime_error(message), status_(status), code_(std::move(code)), param_(std::move(param)) {}
  // What an error of the engine is to a client: the user's is 400, the machine's 503, ours 500.
  explicit ApiError(const Error& error);
  // What accounts refuse: 403 permission_denied, 404 not_found, 400 invalid_value, 409 conflict. A message
  // that begins with a field's name in quotes names it as `param`.
  explicit ApiError(const accounts::AccessError& error);

  // Another type than follows from the status.
  ApiError with_type(std::string type) &&;
  // A header of the reply besides the usual ones.
  ApiError with_header(std::string name, std::string value) &&;

  unsigned status() const { return status_; }
  const std::string& code() const { return code_; }
  const std::string& param() const { return param_; }
  // {"error":{"message","type","param","code"}}
  std::string body() const;
  std::unique_ptr<http::Reply> reply() const;

 private:
  unsigned status_;
  std::string code_, param_, type_;
  std::vector<std::pair<std::string, std::string>> headers_;
};

// The code of a 503 of a server that is to stop.
inline constexpr const char* kDraining = "draining";
// What such a server says to what it takes no more, and to what it ends.
ApiError draining_error();

// A 400 that names the field: "'PARAM' : what is wrong".
template <class... Args>
[[noreturn]] void bad_field(const std::string& param, fmt::format_string<Args...> format, Args&&... args) {
  throw ApiError(400, "", param,
                 fmt::format("'{}' : {}", param, fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace lockstep::server
