#include "server/query_fields.h"

#include <algorithm>
#include <charconv>

#include "base/printable.h"
#include "server/api_error.h"

namespace lockstep::server {

std::optional<std::string> QueryFields::text(std::string_view name) {
  const std::vector<std::string> values = texts(name, 1);
  if (values.empty() || values.front().empty()) return std::nullopt;
  return values.front();
}

std::vector<std::string> QueryFields::texts(std::string_view name, size_t most) {
  known_.emplace_back(name);
  std::vector<std::string> values;
  for (const auto& [field, value] : fields_) {
    if (field != name) continue;
    if (!is_utf8(value)) bad_field(std::string(name), "value must be UTF-8");
    values.push_back(value);
  }
  if (values.size() > most) {
    bad_field(std::string(name), "it is in the query {} times; say it up to {} times", values.size(), most);
  }
  return values;
}

std::optional<int64_t> QueryFields::integer(std::string_view name, int64_t least, int64_t most) {
  const std::optional<std::string> value = text(name);
  if (!value) return std::nullopt;
  int64_t number = 0;
  const char* end = value->data() + value->size();
  const auto parsed = std::from_chars(value->data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < least || number > most) {
    bad_field(std::string(name), "value must be an integer from {} to {}", least, most);
  }
  return number;
}

std::optional<bool> QueryFields::boolean(std::string_view name) {
  const std::optional<std::string> value = text(name);
  if (!value) return std::nullopt;
  if (value != "true" && value != "false") bad_field(std::string(name), "value must be true or false");
  return value == "true";
}

size_t QueryFields::choice(std::string_view name, std::initializer_list<std::string_view> names,
                           size_t otherwise) {
  const std::optional<std::string> value = text(name);
  if (!value) return otherwise;
  const auto found = std::find(names.begin(), names.end(), *value);
  if (found == names.end()) bad_field(std::string(name), "value must be one of {}", fmt::join(names, ", "));
  return static_cast<size_t>(found - names.begin());
}

void QueryFields::finish() const {
  for (const auto& [name, value] : fields_) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    throw ApiError(400, "", printable(name),
                   fmt::format("the query's field '{}' is unsupported; possible: {}", printable(name),
                               known_.empty() ? "none" : fmt::format("{}", fmt::join(known_, ", "))));
  }
}

}  // namespace lockstep::server
