// Reads a JSON object of a request field by field. Every field is taken or refused by name: finish() refuses
// what nobody asked for.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::server {

// An object of sorted keys: unlike an ordered one it takes as little time for many keys as for few.
using RequestJson = nlohmann::json;

// Parses a body. Throws an ApiError for what is no JSON, no UTF-8 or nested more than 64 deep.
RequestJson parse_json(std::string_view body);
// The same of an object; `text` becomes the part of `body` that is the value of its field `name` as it was
// written, or stays as it is where that value is no object.
RequestJson parse_json(std::string_view body, std::string_view name, std::string_view& text);

// The objects and arrays that a body holds in these of its fields, with every object's names in their order:
// what matters in a schema or in a call's arguments. Other values are null. Throws an ApiError for more than
// kOrderedNamesMax names, which take long. REQUIRES: parse_json() took it.
inline constexpr uint32_t kOrderedNamesMax = 10000;
nlohmann::ordered_json parse_ordered(std::string_view body, const std::vector<std::string>& fields);

class JsonFields {
 public:
  // `where` is the object's own place, such as "messages.2"; empty at the top. Throws an ApiError if `json`
  // is no object. `json` must outlive the reader.
  JsonFields(const RequestJson& json, std::string where);

  // A field's value; none where it is missing or null.
  const RequestJson* find(const char* name);
  // The same with a type and a range. They throw an ApiError that names the field.
  std::optional<double> number(const char* name, double least, double most);
  std::optional<int64_t> integer(const char* name, int64_t least, int64_t most);
  std::optional<bool> boolean(const char* name);
  std::optional<std::string> text(const char* name);
  std::string required_text(const char* name);
  // Refuses a field with any value but null, false, "", [] and {}; `why` ends the sentence.
  void refuse(const char* name, const char* why);

  // The name of a field in errors: "messages.2.role".
  std::string path(std::string_view name) const;

  // Whether the field is there, be it null.
  bool has(const char* name) const { return json_.contains(name); }
  // Throws an ApiError for the first field that is none of these.
  void require_known(const std::vector<std::string_view>& known) const;
  // Throws an ApiError for the first field that was not asked for.
  void finish() const { require_known(known_); }

 private:
  const RequestJson& json_;
  const std::string where_;
  std::vector<std::string_view> known_;
};

// A request made of a body by `read(fields, request)`; it refuses what that does not ask for.
template <class Request, class Read>
Request read_body(std::string_view body, Read read) {
  const RequestJson json = parse_json(body);
  JsonFields fields(json, "");
  Request request;
  read(fields, request);
  fields.finish();
  return request;
}

}  // namespace lockstep::server
