#include "server/router.h"

#include <algorithm>

#include "server/api_error.h"

namespace lockstep::server {

namespace {

// The part up to the next slash, taken off `path`, which begins with one.
std::string_view take_part(std::string_view& path) {
  path.remove_prefix(1);
  const std::string_view part = path.substr(0, path.find('/'));
  path.remove_prefix(part.size());
  return part;
}

bool matches(std::string_view pattern, std::string_view path, std::vector<std::string>& parameters) {
  parameters.clear();
  while (pattern.starts_with('/') && path.starts_with('/')) {
    const std::string_view wanted = take_part(pattern);
    if (wanted.ends_with("...}")) {
      path.remove_prefix(1);
      parameters.push_back(http::decode_percent(path));
      return !path.empty();
    }
    const std::string_view part = take_part(path);
    if (wanted.starts_with('{') ? part.empty() : part != wanted) return false;
    if (wanted.starts_with('{')) parameters.push_back(http::decode_percent(part));
  }
  return pattern.empty() && path.empty();
}

}  // namespace

bool is_groq_target(std::string_view target) {
  return target.starts_with("/openai/v1/");
}

std::string_view api_path(std::string_view path) {
  if (is_groq_target(path)) path.remove_prefix(std::string_view("/openai").size());
  return path;
}

Route& Router::add(std::string method, std::string pattern, Needed needed, Handler handler) {
  return routes_.emplace_back(Route{std::move(method), std::move(pattern), needed, std::move(handler)});
}

const Route& Router::find(Call& call) const {
  const std::string_view path = api_path(call.target.path);
  std::vector<std::string> methods;
  for (const Route& route : routes_) {
    if (!matches(route.pattern, path, call.parameters)) continue;
    if (route.method == call.request.method) return route;
    methods.push_back(route.method);
  }
  const http::Request& request = call.request;
  if (methods.empty()) {
    throw ApiError(
        404, "unknown_url", "",
        fmt::format("Unknown request URL: {} {}. Please check the URL for typos, or see docs/server.md.",
                    request.method, request.target));
  }
  const std::string allowed = fmt::format("{}", fmt::join(methods, ", "));
  throw ApiError(405, "method_not_allowed", "",
                 fmt::format("{} is asked for with {}, not {}", call.target.path, allowed, request.method))
      .with_header("allow", allowed);
}

}  // namespace lockstep::server
