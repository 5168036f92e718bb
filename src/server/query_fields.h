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
  // Throws an ApiError for a field that is there twice.
  explicit QueryFields(const http::Target& target);

  // A field's value; none where it is missing or empty. They throw an ApiError that names the field.
  std::optional<std::string> text(std::string_view name);
  std::optional<int64_t> integer(std::string_view name, int64_t least, int64_t most);
  std::optional<bool> boolean(std::string_view name);
  // The index of the value among `names`; `otherwise` where it is missing.
  size_t choice(std::string_view name, std::initializer_list<std::string_view> names, size_t otherwise);

  // Throws an ApiError for the first field that was not asked for.
  void finish() const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
  std::vector<std::string> known_;
};

}  // namespace lockstep::server
