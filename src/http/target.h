// What a request's target says: a path, perhaps with a query.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep::http {

// %2F and the like; a % without two digits stays.
std::string decode_percent(std::string_view text);

// A target cut in two. Views into the text it was made of.
struct Target {
  explicit Target(std::string_view target);

  std::string_view path;   // as it came, without the query
  std::string_view query;  // after the '?', perhaps empty

  // Of a query's field, decoded, '+' as a space: the first value, and all of them.
  std::optional<std::string> find(std::string_view name) const;
  std::vector<std::string> find_all(std::string_view name) const;
  // All fields in their order.
  std::vector<std::pair<std::string, std::string>> fields() const;
};

// A target in absolute form, "http://HOST/PATH", in two: what a header Host says, and the target as others
// have it. None for any other form, and for a host that is empty or has a user before it (RFC 9110,
// section 4.2).
struct AbsoluteTarget {
  std::string host, target;
};
std::optional<AbsoluteTarget> absolute_target(std::string_view target);

}  // namespace lockstep::http
