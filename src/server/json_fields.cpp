#include "server/json_fields.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/json_scan.h"
#include "server/api_error.h"

namespace lockstep::server {

namespace {

constexpr uint32_t kDepthMax = 64;
constexpr size_t kShownMax = 64;  // bytes of a client's name for a field that an error repeats

// Letters to put in, take out or change until `a` is `b`.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

RequestJson parse_json(std::string_view body) {
  std::string_view unused;
  return parse_json(body, "", unused);
}

RequestJson parse_json(std::string_view body, std::string_view name, std::string_view& text) {
  size_t begin = 0;    // of the field's value, while it is read
  bool named = false;  // the last name of the outermost object was `name`
  scan_json(body, [&](const JsonEvent& event) {
    if (event.depth >= kDepthMax && event.kind == JsonEvent::Kind::Begin) {
      throw ApiError(400, "", "", fmt::format("the body's JSON is nested more than {} deep", kDepthMax));
    }
    if (event.depth != 1) return;
    if (event.kind == JsonEvent::Kind::Name) named = event.name == name;
    if (event.kind == JsonEvent::Kind::Begin) begin = event.position;
    if (event.kind == JsonEvent::Kind::End && named && body[begin] == '{') {
      text = body.substr(begin, event.position - begin);
    }
  });
  try {
    return RequestJson::parse(body);
  } catch (const RequestJson::parse_error& error) {
    throw ApiError(400, "", "", fmt::format("the body is no valid JSON: look at byte {}", error.byte));
  } catch (const RequestJson::exception&) {
    throw ApiError(400, "", "", "the body has a number that is too large for JSON's readers");
  }
}

nlohmann::ordered_json parse_ordered(std::string_view body, const std::vector<std::string>& fields) {
  std::map<std::string, std::string_view> kept;  // the texts of the fields' values
  auto current = kept.end();
  size_t begin = 0;
  uint32_t names = 0;
  scan_json(body, [&](const JsonEvent& event) {
    if (event.kind == JsonEvent::Kind::Name && event.depth == 1) {
      const bool wanted = std::find(fields.begin(), fields.end(), event.name) != fields.end();
      current = wanted ? kept.insert_or_assign(std::string(event.name), "null").first : kept.end();
    }
    if (current == kept.end()) return;
    if (event.kind == JsonEvent::Kind::Name && ++names > kOrderedNamesMax) {
      throw ApiError(400, "", "",
                     fmt::format("'{}' : the objects have more than {} names; use fewer",
                                 fmt::join(fields, "', '"), kOrderedNamesMax));
    }
    if (event.depth != 1) return;
    if (event.kind == JsonEvent::Kind::Begin) begin = event.position;
    if (event.kind == JsonEvent::Kind::End) current->second = body.substr(begin, event.position - begin);
  });
  auto json = nlohmann::ordered_json::object();
  for (const auto& [name, text] : kept) json[name] = nlohmann::ordered_json::parse(text);
  return json;
}

JsonFields::JsonFields(const RequestJson& json, std::string where) : json_(json), where_(std::move(where)) {
  if (json_.is_object()) return;
  if (where_.empty()) throw ApiError(400, "", "", "the body must be a JSON object");
  bad_field(where_, "value must be an object");
}

std::string JsonFields::path(std::string_view name) const {
  return where_.empty() ? std::string(name) : fmt::format("{}.{}", where_, name);
}

const RequestJson* JsonFields::find(const char* name) {
  known_.emplace_back(name);
  const auto found = json_.find(name);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<double> JsonFields::number(const char* name, double least, double most) {
  const RequestJson* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) bad_field(path(name), "value must be a number");
  const double number = value->get<double>();
  if (!(number >= least && number <= most)) {
    bad_field(path(name), "value must be a number from {} to {}", least, most);
  }
  return number;
}

std::optional<int64_t> JsonFields::integer(const char* name, int64_t least, int64_t most) {
  const RequestJson* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) bad_field(path(name), "value must be an integer");
  const bool huge = value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX};
  const int64_t integer = huge ? INT64_MAX : value->get<int64_t>();
  if (huge || integer < least || integer > most) {
    bad_field(path(name), "value must be an integer from {} to {}", least, most);
  }
  return integer;
}

std::optional<bool> JsonFields::boolean(const char* name) {
  const RequestJson* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) bad_field(path(name), "value must be true or false");
  return value->get<bool>();
}

std::optional<std::string> JsonFields::text(const char* name) {
  const RequestJson* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) bad_field(path(name), "value must be a string");
  return value->get<std::string>();
}

std::string JsonFields::required_text(const char* name) {
  std::optional<std::string> value = text(name);
  if (!value) bad_field(path(name), "property '{}' is missing", name);
  return *std::move(value);
}

void JsonFields::refuse(const char* name, const char* why) {
  const RequestJson* value = find(name);
  if (value == nullptr || *value == RequestJson(false) || *value == RequestJson("")) return;
  if (value->is_structured() && value->empty()) return;
  bad_field(path(name), "{}", why);
}

void JsonFields::require_known(const std::vector<std::string_view>& known) const {
  for (const auto& item : json_.items()) {
    if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
    const std::string_view name = std::string_view(item.key()).substr(0, kShownMax);
    const auto nearest =
        std::min_element(known.begin(), known.end(), [&](std::string_view a, std::string_view b) {
          return edit_distance(name, a) < edit_distance(name, b);
        });
    const bool near = nearest != known.end() && edit_distance(name, *nearest) * 2 <= name.size();
    throw ApiError(
        400, "", path(name),
        fmt::format("{}property '{}' is unsupported{}", where_.empty() ? "" : fmt::format("'{}' : ", where_),
                    name, near ? fmt::format(", did you mean '{}'?", *nearest) : ""));
  }
}

}  // namespace lockstep::server
