#include "server/cors.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "server/api_error.h"
#include "server/reply_headers.h"

namespace lockstep::server {

namespace {

constexpr const char* kMethods = "GET, POST, PUT, PATCH, DELETE";
constexpr const char* kPreflightSeconds = "600";  // that a browser may remember the answer
constexpr const char* kExposed =
    "x-request-id, retry-after, retry-after-ms, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
    "x-ratelimit-reset-tokens";

}  // namespace

void check_origin(const std::string& origin) {
  if (origin == "*" || origin == "null") return;
  const size_t scheme = origin.find("://");
  const bool good = scheme != std::string::npos && scheme != 0 && scheme + 3 < origin.size() &&
                    origin.find_first_of("/?#@ ", scheme + 3) == std::string::npos;
  if (good) return;
  user_error(
      "--cors-origin {}: an origin is a scheme, a host and perhaps a port, such as https://app.example:8443; "
      "or * for any",
      origin);
}

Cors::Cors(http::Service& service, std::vector<std::string> origins)
    : service_(service),
      origins_(std::move(origins)),
      any_(std::find(origins_.begin(), origins_.end(), "*") != origins_.end()) {}

bool Cors::allowed(std::string_view origin) const {
  return any_ || std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
}

bool Cors::asks_first(const http::Request& request) {
  return request.method == "OPTIONS" && !request.header("access-control-request-method").empty();
}

http::Admission Cors::admit(const http::Request& head, size_t usual_bytes) {
  if (asks_first(head)) return {usual_bytes, http::Pace::Works, share(head, preflight(head))};
  http::Admission admission = service_.admit(head, usual_bytes);
  if (admission.refusal) admission.refusal = share(head, std::move(admission.refusal));
  return admission;
}

std::unique_ptr<http::Reply> Cors::answer(const http::Request& request, http::Wake wake) {
  return share(request, service_.answer(request, std::move(wake)));
}

std::unique_ptr<http::Reply> Cors::refuse(const http::Request& request, unsigned status,
                                          std::string message) {
  return share(request, service_.refuse(request, status, std::move(message)));
}

std::unique_ptr<http::Reply> Cors::preflight(const http::Request& request) const {
  const std::string_view origin = request.header("origin");
  if (!allowed(origin)) {
    return ApiError(403, "origin_not_allowed", "",
                    fmt::format("Pages of {} may not use this server; --cors-origin lists those that may.",
                                origin))
        .reply();
  }
  http::Head head;
  head.headers = {{"access-control-allow-methods", kMethods}, {"access-control-max-age", kPreflightSeconds}};
  const std::string_view wanted = request.header("access-control-request-headers");
  if (!wanted.empty()) head.headers.emplace_back("access-control-allow-headers", wanted);
  return std::make_unique<http::WholeReply>(std::move(head), "");
}

std::unique_ptr<http::Reply> Cors::share(const http::Request& request,
                                         std::unique_ptr<http::Reply> reply) const {
  if (origins_.empty()) return reply;
  http::Headers headers = {{"vary", "Origin"}};
  const std::string_view origin = request.header("origin");
  if (!origin.empty() && allowed(origin)) {
    headers.emplace_back("access-control-allow-origin", any_ ? "*" : origin);
    headers.emplace_back("access-control-expose-headers", kExposed);
  }
  return with_headers(std::move(reply), std::move(headers));
}

}  // namespace lockstep::server
