// The address of a server's API, as a person gives it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep::http {

struct Url {
  bool is_tls = false;
  std::string host;  // a name or an address, without brackets
  uint16_t port = 80;
  std::string path;  // empty, or begins with '/' and does not end with one

  // What a header `host` says: the name, and the port where it is not the usual one.
  std::string authority() const;
  std::string origin() const;  // "http://127.0.0.1:8080"
};

// "http://HOST[:PORT][/PATH]" or the same with https. Throws a user's error that names the text.
Url parse_url(std::string_view text);

}  // namespace lockstep::http
