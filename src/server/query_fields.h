// Reads a request's query field by field, as JsonFields reads a body: every field is taken or refused by
// name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/target.h"

namespace lockstep::server {

class QueryFields {
 public:
  explicit QueryFields(const http::Target& target) : fields_(target.fields()) {}

  // A field's value; none where it is missing or empty. They throw an ApiError that names the field, also
  // where it is there twice.
  std::optional<std::string> text(std::string_view name);
  std::optional<int64_t> integer(std::string_view name, int64_t least, int64_t most);
  std::optional<bool> boolean(std::string_view name);
  // All values of a field that may be there several times, up to `most`.
  std::vector<std::string> texts(std::string_view name, size_t most);
  // The index of the value among `names`; `otherwise` where it is missing.
  size_t choice(std::string_view name, std::initializer_list<std::string_view> names, size_t otherwise);

  // Throws an ApiError for the first field that was not asked for.
  void finish() const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
  std::vector<std::string> known_;
};

}  // namespace lockstep::server
