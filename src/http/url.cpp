#include "http/url.h"

// The parser's own sources: this file is the one that holds them.
#include <boost/url/src.hpp>
#include <charconv>

#include "base/error.h"
#include "base/printable.h"

namespace lockstep::http {

namespace {

constexpr uint16_t kPlainPort = 80, kTlsPort = 443;  // RFC 9110, 4.2

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (is_tls ? kTlsPort : kPlainPort) ? name : fmt::format("{}:{}", name, port);
}

std::string Url::origin() const {
  return (is_tls ? "https://" : "http://") + authority();
}

Url parse_url(std::string_view text) {
  const auto parsed = boost::urls::parse_uri({text.data(), text.size()});
  const bool known = parsed && (parsed->scheme_id() == boost::urls::scheme::http ||
                                parsed->scheme_id() == boost::urls::scheme::https);
  const std::string port = known ? std::string(parsed->port()) : "";
  const std::string path = known ? std::string(parsed->encoded_path()) : "";
  const bool good_path = path.empty() || path.starts_with('/');  // else it is what follows a port's digits
  Url url;
  const bool good_port =
      port.empty() ||
      (std::from_chars(port.data(), port.data() + port.size(), url.port).ec == std::errc() && url.port != 0);
  if (!known || parsed->host().empty() || !good_port || !good_path) {
    user_error("{}: a URL such as http://127.0.0.1:8080 or https://api.groq.com/openai/v1 is wanted",
               printable(text));
  }
  if (parsed->has_userinfo() || parsed->has_query() || parsed->has_fragment()) {
    user_error("{}: the URL may have a host, a port and a path, and nothing else", printable(text));
  }
  url.is_tls = parsed->scheme_id() == boost::urls::scheme::https;
  url.host = parsed->host_address();
  if (port.empty()) url.port = url.is_tls ? kTlsPort : kPlainPort;
  url.path = path;
  while (url.path.ends_with('/')) url.path.pop_back();
  return url;
}

}  // namespace lockstep::http
