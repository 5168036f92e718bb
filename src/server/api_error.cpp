#include "server/api_error.h"

#include <nlohmann/json.hpp>

namespace lockstep::server {

namespace {

unsigned status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::User:
      return 400;
    case ErrorKind::Machine:
      return 503;
    case ErrorKind::Internal:
      return 500;
  }
  return 500;
}

unsigned status_of(accounts::Reason reason) {
  switch (reason) {
    case accounts::Reason::Forbidden:
      return 403;
    case accounts::Reason::NotFound:
      return 404;
    case accounts::Reason::Invalid:
      return 400;
    case accounts::Reason::Conflict:
      return 409;
  }
  return 500;
}

const char* code_of(accounts::Reason reason) {
  switch (reason) {
    case accounts::Reason::Forbidden:
      return "permission_denied";
    case accounts::Reason::NotFound:
      return "not_found";
    case accounts::Reason::Invalid:
      return "invalid_value";
    case accounts::Reason::Conflict:
      return "conflict";
  }
  return "";
}

// The field of "'FIELD' : what is wrong".
std::string field_of(std::string_view message) {
  const size_t end = message.find("' : ");
  if (!message.starts_with('\'') || end == std::string_view::npos) return "";
  return std::string(message.substr(1, end - 1));
}

}  // namespace

ApiError::ApiError(const Error& error) : ApiError(status_of(error.kind()), "", "", error.what()) {}

ApiError::ApiError(const accounts::AccessError& error)
    : ApiError(status_of(error.reason()), code_of(error.reason()), field_of(error.what()), error.what()) {}

ApiError ApiError::with_header(std::string name, std::string value) && {
  headers_.emplace_back(std::move(name), std::move(value));
  return std::move(*this);
}

ApiError ApiError::with_type(std::string type) && {
  type_ = std::move(type);
  return std::move(*this);
}

std::string ApiError::body() const {
  using Json = nlohmann::ordered_json;
  auto text_or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json error;
  error["message"] = what();
  error["type"] = !type_.empty() ? type_ : status_ >= 500 ? "internal_server_error" : "invalid_request_error";
  error["param"] = text_or_null(param_);
  error["code"] = text_or_null(code_);
  return Json{{"error", error}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::unique_ptr<http::Reply> ApiError::reply() const {
  http::Head head;
  head.status = status_;
  head.headers = headers_;
  if (status_ == 503) head.headers.emplace_back("retry-after", "1");
  return std::make_unique<http::WholeReply>(std::move(head), body());
}

ApiError draining_error() {
  return ApiError(503, kDraining, "", "the server is stopping; send the request again");
}

}  // namespace lockstep::server
