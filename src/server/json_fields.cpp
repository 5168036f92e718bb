#include "server/json_fields.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "server/api_error.h"

namespace lockstep::server {

namespace {

constexpr int kDepthMax = 64;
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

// Reads a text, and tells how far the JSON parser has read: behind a bracket, when that is told.
struct Reader {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  reference operator*() const { return *at; }
  Reader& operator++() {
    *position = ++at;
    return *this;
  }
  Reader operator++(int) {
    Reader before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Reader& other) const { return at == other.at; }

  const char* at;
  const char** position;
};

}  // namespace

RequestJson parse_json(std::string_view body) {
  std::string_view unused;
  return parse_json(body, "", unused);
}

RequestJson parse_json(std::string_view body, std::string_view name, std::string_view& text) {
  using Event = RequestJson::parse_event_t;
  const char* position = body.data();
  const char* begin = nullptr;  // of the field's value, while it is read
  bool named = false;           // the last key of the object was `name`
  const auto look = [&](int depth, Event event, const RequestJson& value) {
    if (depth > kDepthMax) {
      throw ApiError(400, "", "", fmt::format("the body's JSON is nested more than {} deep", kDepthMax));
    }
    if (depth != 1) return true;
    if (event == Event::key) named = value == name;
    if (event == Event::object_start) begin = position - 1;
    if (event == Event::object_end && named) text = {begin, static_cast<size_t>(position - begin)};
    return true;
  };
  try {
    return RequestJson::parse(Reader{body.data(), &position}, Reader{body.data() + body.size(), nullptr},
                              look);
  } catch (const RequestJson::parse_error& error) {
    throw ApiError(400, "", "", fmt::format("the body is no valid JSON: look at byte {}", error.byte));
  } catch (const RequestJson::exception&) {
    throw ApiError(400, "", "", "the body has a number that is too large for JSON's readers");
  }
}

nlohmann::ordered_json parse_ordered(std::string_view body, const std::vector<std::string>& fields) {
  using Json = nlohmann::ordered_json;
  bool kept = false;
  uint32_t names = 0;
  auto keep = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event != Json::parse_event_t::key) return true;
    if (depth == 1) kept = std::find(fields.begin(), fields.end(), value) != fields.end();
    if (kept && ++names > kOrderedNamesMax) {
      throw ApiError(400, "", "",
                     fmt::format("'{}' : the objects have more than {} names; use fewer",
                                 fmt::join(fields, "', '"), kOrderedNamesMax));
    }
    return kept;
  };
  return Json::parse(body, keep);
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
