#include "server/console/console_endpoints.h"

#include <algorithm>
#include <array>

#include "server/api_error.h"
#include "server/console/console_files.h"

namespace lockstep::server {

namespace {

// Scripts, styles and requests of this server alone, and no string that becomes markup or a script.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'";

std::string content_type(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, const char*>, 4> kTypes = {{
      {".html", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".svg", "image/svg+xml"},
  }};
  const auto found = std::find_if(kTypes.begin(), kTypes.end(),
                                  [&](const auto& type) { return name.ends_with(type.first); });
  return found == kTypes.end() ? "application/octet-stream" : found->second;
}

std::unique_ptr<http::Reply> file_reply(std::string_view name) {
  const std::vector<ConsoleFile>& files = console_files();
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const ConsoleFile& file) { return file.name == name; });
  if (found == files.end()) {
    throw ApiError(404, "unknown_url", "", fmt::format("the console has no file '{}'", name));
  }
  http::Head head;
  head.content_type = content_type(name);
  head.headers = {{"content-security-policy", kPolicy},
                  {"x-content-type-options", "nosniff"},
                  {"referrer-policy", "no-referrer"},
                  {"cross-origin-opener-policy", "same-origin"},
                  {"cache-control", "no-cache"}};
  return std::make_unique<http::WholeReply>(std::move(head), std::string(found->text));
}

}  // namespace

void add_console_endpoints(Router& router) {
  router.add("GET", "/", kAnyone, [](Call&) { return file_reply("index.html"); });
  router.add("GET", "/console/{file}", kAnyone, [](Call& call) { return file_reply(call.parameters[0]); });
}

}  // namespace lockstep::server
