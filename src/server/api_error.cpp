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

}  // namespace

ApiError::ApiError(const Error& error) : ApiError(status_of(error.kind()), "", "", error.what()) {}

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

}  // namespace lockstep::server
