// Bodies of the type multipart/form-data, as files are uploaded: RFC 7578, in the form of RFC 2046.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::http {

// A field of the form.
struct Part {
  std::string name;
  std::optional<std::string> file_name;  // of the client: text to show, never a path to open
  std::string content_type;              // empty where the part has none
  std::string_view body;                 // a view into the request's body
};

inline constexpr size_t kPartsMax = 64;
inline constexpr size_t kPartHeaderBytesMax = 4096;  // of all header lines of one part

// The parts in their order. `content_type` is the request's header. Throws a user's error that says what is
// wrong with either; nothing before the first or after the last part but the empty lines that RFC 2046 wants.
std::vector<Part> parse_multipart(std::string_view content_type, std::string_view body);

// The first part of this name, or null.
const Part* find_part(const std::vector<Part>& parts, std::string_view name);

}  // namespace lockstep::http
