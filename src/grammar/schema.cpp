#include "grammar/schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/printable.h"
#include "grammar/json_rules.h"

namespace lockstep::grammar {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kAnnotations = {"title",      "description", "default",   "examples",
                                     "deprecated", "readOnly",    "writeOnly", "$schema",
                                     "$id",        "$comment",    "$defs",     "definitions"};
constexpr std::array kObjectKeywords = {"properties", "required", "additionalProperties"};
constexpr std::array kArrayKeywords = {"items", "minItems", "maxItems"};
constexpr std::array kStringKeywords = {"minLength", "maxLength"};
constexpr std::array kNumberKeywords = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"};
constexpr std::array kTypes = {"object", "array", "string", "number", "integer", "boolean", "null"};
constexpr const char* kTaken =
    "type, properties, required, additionalProperties, items, minItems, maxItems, minLength, maxLength, "
    "enum, "
    "const, anyOf, $ref and $defs";

template <class List>
bool has(const List& list, std::string_view word) {
  return std::any_of(list.begin(), list.end(), [&](const auto& entry) { return word == entry; });
}

template <class List>
bool has_any(const Json& schema, const List& keywords) {
  return std::any_of(keywords.begin(), keywords.end(),
                     [&](const char* keyword) { return schema.contains(keyword); });
}

bool is_type(const Json& value, const std::string& type) {
  if (type == "number") return value.is_number();
  if (type != "integer") return type == value.type_name();
  return value.is_number_integer() ||
         (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>());
}

const Json* find(const Json& schema, const char* keyword) {
  const auto found = schema.find(keyword);
  return found == schema.end() ? nullptr : &*found;
}

// A JSON pointer's step down.
std::string below(const std::string& place, const std::string& name) {
  return place + "/" + nlohmann::detail::escape(name);
}

class SchemaCompiler {
 public:
  SchemaCompiler(const Json& root, GrammarBuilder& builder, JsonRules& rules)
      : root_(root), builder_(builder), rules_(rules) {}

  // The first state of the rule for the whole schema.
  StateId compile() {
    const StateId start = referred("#", "#");
    while (!pending_.empty()) {
      const Pending next = std::move(pending_.back());
      pending_.pop_back();
      value(*next.schema, next.place, next.start, builder_.add_final_state());
    }
    return start;
  }

 private:
  struct Pending {
    const Json* schema;
    std::string place;
    StateId start;
  };

  template <class... Args>
  [[noreturn]] static void refuse(const std::string& place, fmt::format_string<Args...> format,
                                  Args&&... args) {
    user_error("the schema at '{}' {}", printable(place), fmt::format(format, std::forward<Args>(args)...));
  }

  // The first state of the rule for the schema that a $ref names; it is made later.
  StateId referred(const std::string& reference, const std::string& place) {
    const auto known = references_.find(reference);
    if (known != references_.end()) return known->second;
    const Json* schema = nullptr;
    try {
      if (reference.starts_with("#")) {
        const Json::json_pointer pointer(reference.substr(1));
        if (root_.contains(pointer)) schema = &root_.at(pointer);
      }
    } catch (const Json::exception&) {
      schema = nullptr;
    }
    if (schema == nullptr) {
      refuse(
          place,
          "refers to '{}', which is nowhere in it: a $ref is '#' or leads to a place such as '#/$defs/NAME'",
          printable(reference));
    }
    const StateId start = builder_.add_state();
    references_[reference] = start;
    pending_.push_back({schema, reference, start});
    return start;
  }

  // Writes the states from `from` to `to` for one schema.
  void value(const Json& schema, const std::string& place, StateId from, StateId to) {
    if (schema == Json(true)) return builder_.call(from, rules_.value(), to);
    if (!schema.is_object()) refuse(place, "must be an object with keywords");
    if (++nesting_ > kSchemaNestingMax) refuse(place, "is nested more than {} deep", kSchemaNestingMax);
    check_keywords(schema, place);
    if (const Json* reference = find(schema, "$ref")) {
      if (!reference->is_string()) refuse(place, "has a $ref that is no string");
      builder_.call(from, referred(reference->get<std::string>(), place), to);
    } else if (const Json* any = alternatives(schema, place, "anyOf")) {
      each_alternative(*any, below(place, "anyOf"), from, to);
    } else if (const Json* all = alternatives(schema, place, "allOf")) {
      if (all->size() > 1) refuse(place, "has an allOf of several schemas: only one is taken, merge them");
      each_alternative(*all, below(place, "allOf"), from, to);
    } else if (schema.contains("enum") || schema.contains("const")) {
      constants(schema, place, from, to);
    } else {
      const std::vector<std::string> types = types_of(schema, place);
      if (types.empty()) builder_.call(from, rules_.value(), to);
      for (const std::string& type : types) typed(type, schema, place, from, to);
    }
    --nesting_;
  }

  // Every keyword is one that is taken, and none stands beside one that does not allow it.
  void check_keywords(const Json& schema, const std::string& place) {
    static constexpr std::array kAlone = {"$ref", "anyOf", "allOf", "enum", "const"};
    const auto alone = std::find_if(kAlone.begin(), kAlone.end(),
                                    [&](const char* keyword) { return schema.contains(keyword); });
    for (const auto& item : schema.items()) {
      const std::string& keyword = item.key();
      const bool known = has(kAnnotations, keyword) || has(kAlone, keyword) || keyword == "type" ||
                         has(kObjectKeywords, keyword) || has(kArrayKeywords, keyword) ||
                         has(kStringKeywords, keyword) || has(kNumberKeywords, keyword);
      if (!known) {
        refuse(place, "has the keyword '{}', which is not supported: {} are", printable(keyword), kTaken);
      }
      if (alone == kAlone.end() || has(kAnnotations, keyword) || keyword == *alone) continue;
      const bool constant = std::string_view(*alone) == "enum" || std::string_view(*alone) == "const";
      if (constant && keyword == "type") continue;
      refuse(place, "has '{}' beside '{}', which is not supported: leave one of them out", printable(keyword),
             *alone);
    }
  }

  static const Json* alternatives(const Json& schema, const std::string& place, const char* keyword) {
    const Json* list = find(schema, keyword);
    if (list != nullptr && (!list->is_array() || list->empty())) {
      refuse(place, "has '{}' that is no list of schemas with at least one", keyword);
    }
    return list;
  }

  void each_alternative(const Json& list, const std::string& place, StateId from, StateId to) {
    for (size_t i = 0; i < list.size(); ++i) value(list[i], below(place, std::to_string(i)), from, to);
  }

  static std::vector<std::string> types_of(const Json& schema, const std::string& place) {
    const Json* type = find(schema, "type");
    if (type == nullptr) {
      if (has_any(schema, kObjectKeywords)) return {"object"};
      if (has_any(schema, kArrayKeywords)) return {"array"};
      if (has_any(schema, kStringKeywords)) return {"string"};
      if (has_any(schema, kNumberKeywords)) return {"number"};
      return {};
    }
    std::vector<std::string> types;
    const Json list = type->is_array() ? *type : Json::array({*type});
    for (const Json& entry : list) {
      if (!entry.is_string() || !has(kTypes, entry.get<std::string>())) {
        refuse(place, "has a type that is none of object, array, string, number, integer, boolean and null");
      }
      if (!has(types, entry.get<std::string>())) types.push_back(entry.get<std::string>());
    }
    if (types.empty()) refuse(place, "has an empty list of types");
    return types;
  }

  void constants(const Json& schema, const std::string& place, StateId from, StateId to) {
    const Json* list = find(schema, "enum");
    if (list != nullptr && !list->is_array()) refuse(place, "has an enum that is no list");
    const Json values = list != nullptr ? *list : Json::array({schema.at("const")});
    const std::vector<std::string> types = types_of(schema, place);
    std::set<std::string> texts;
    for (const Json& entry : values) {
      const bool fits =
          types.empty() || std::any_of(types.begin(), types.end(),
                                       [&](const std::string& type) { return is_type(entry, type); });
      if (fits) texts.insert(entry.dump());
    }
    if (texts.empty()) refuse(place, "has an enum or const without a value of its type");
    rules_.one_of(from, {texts.begin(), texts.end()}, to);
  }

  void typed(const std::string& type, const Json& schema, const std::string& place, StateId from,
             StateId to) {
    if (type == "object") return object(schema, place, from, to);
    if (type == "array") return array(schema, place, from, to);
    if (type == "string") return string(schema, place, from, to);
    if (type == "number") return number(schema, place, from, to);
    if (type == "integer") return integer(schema, place, from, to);
    if (type == "boolean") return rules_.one_of(from, {"true", "false"}, to);
    rules_.one_of(from, {"null"}, to);
  }

  static Count count(const Json& schema, const std::string& place, const char* least, const char* most) {
    auto read = [&](const char* keyword) -> std::optional<uint32_t> {
      const Json* number = find(schema, keyword);
      if (number == nullptr) return std::nullopt;
      if (!number->is_number_integer() || *number < 0 || *number > kStatesMax) {
        refuse(place, "has a {} that is no integer from 0 to {}", keyword, kStatesMax);
      }
      return number->get<uint32_t>();
    };
    const Count range{read(least).value_or(0), read(most)};
    if (range.most && *range.most < range.least) refuse(place, "has a {} below its {}", most, least);
    return range;
  }

  void string(const Json& schema, const std::string& place, StateId from, StateId to) {
    if (!has_any(schema, kStringKeywords)) return builder_.call(from, rules_.string(), to);
    const StateId rest = builder_.add_state();
    builder_.take(from, '"', rest);
    rules_.string_rest(rest, count(schema, place, "minLength", "maxLength"), to);
  }

  void number(const Json& schema, const std::string& place, StateId from, StateId to) {
    for (const char* keyword : kNumberKeywords) {
      if (schema.contains(keyword))
        refuse(place, "has a {}, which is supported for type integer alone", keyword);
    }
    builder_.call(from, rules_.number(), to);
  }

  // The last integer within the bound, at most kIntegerMax + 1 away from 0.
  static std::optional<int64_t> integer_bound(const Json& schema, const std::string& place,
                                              const char* keyword, bool upper, bool exclusive) {
    const Json* bound = find(schema, keyword);
    if (bound == nullptr) return std::nullopt;
    if (!bound->is_number()) refuse(place, "has a {} that is no number", keyword);
    constexpr int64_t kFar = kIntegerMax + 1;
    const auto number = bound->get<double>();
    if (number >= static_cast<double>(kFar)) {
      const bool exact = bound->is_number_integer() && bound->get<uint64_t>() < static_cast<uint64_t>(kFar);
      if (!exact) return kFar;
    }
    if (number <= -static_cast<double>(kFar)) {
      const bool exact = bound->is_number_integer() && bound->get<int64_t>() > -kFar;
      if (!exact) return -kFar;
    }
    const double rounded = upper ? std::floor(number) : std::ceil(number);
    const bool whole = bound->is_number_integer() || rounded == number;
    const auto integer = bound->is_number_integer() ? bound->get<int64_t>() : static_cast<int64_t>(rounded);
    return exclusive && whole ? integer + (upper ? -1 : 1) : integer;
  }

  void integer(const Json& schema, const std::string& place, StateId from, StateId to) {
    if (!has_any(schema, kNumberKeywords)) return builder_.call(from, rules_.integer(), to);
    const int64_t least =
        std::max({-kIntegerMax, integer_bound(schema, place, "minimum", false, false).value_or(-kIntegerMax),
                  integer_bound(schema, place, "exclusiveMinimum", false, true).value_or(-kIntegerMax)});
    const int64_t most =
        std::min({kIntegerMax, integer_bound(schema, place, "maximum", true, false).value_or(kIntegerMax),
                  integer_bound(schema, place, "exclusiveMaximum", true, true).value_or(kIntegerMax)});
    if (least > most)
      refuse(place, "has bounds with no integer of at most 18 digits between its minimum and its maximum");
    rules_.integer_between(from, least, most, to);
  }

  // A rule for a schema that stands below `schema`; any value where the keyword is missing.
  StateId rule(const Json& schema, const std::string& place, const char* keyword) {
    const Json* member = find(schema, keyword);
    if (member == nullptr) return rules_.value();
    const StateId start = builder_.add_state();
    value(*member, below(place, keyword), start, builder_.add_final_state());
    return start;
  }

  void array(const Json& schema, const std::string& place, StateId from, StateId to) {
    const Count range = count(schema, place, "minItems", "maxItems");
    rules_.array(from, rule(schema, place, "items"), range, to);
  }

  static std::set<std::string> required_names(const Json& schema, const std::string& place) {
    std::set<std::string> names;
    const Json* required = find(schema, "required");
    if (required == nullptr) return names;
    if (!required->is_array()) refuse(place, "has a required that is no list of names");
    for (const Json& name : *required) {
      if (!name.is_string()) refuse(place, "has a required that is no list of names");
      names.insert(name.get<std::string>());
    }
    return names;
  }

  void object(const Json& schema, const std::string& place, StateId from, StateId to) {
    const Json* properties = find(schema, "properties");
    if (properties != nullptr && !properties->is_object()) {
      refuse(place, "has properties that are no object of schemas");
    }
    std::set<std::string> missing = required_names(schema, place);
    const std::set<std::string> required = missing;
    if (properties != nullptr) {
      for (const auto& item : properties->items()) missing.erase(item.key());
    }
    if (!missing.empty()) {
      refuse(place, "requires '{}', which is not among its properties", printable(*missing.begin()));
    }
    const Json* additional = find(schema, "additionalProperties");
    const bool closed = additional != nullptr && *additional == Json(false);
    if (properties == nullptr || properties->empty()) {
      const bool open = !closed && (properties == nullptr || additional != nullptr);
      if (open) return rules_.map(from, rule(schema, place, "additionalProperties"), to);
    } else if (additional != nullptr && !closed) {
      refuse(place, "has additionalProperties beside properties, which is not supported: make it false");
    }
    members(properties == nullptr ? Json::object() : *properties, required, below(place, "properties"), from,
            to);
  }

  // The properties in their order: at `first`, while there is one, none has come yet, at `later` one has.
  void members(const Json& properties, const std::set<std::string>& required, const std::string& place,
               StateId from, StateId to) {
    GrammarBuilder& b = builder_;
    const StateId opened = b.add_state();
    b.take(from, '{', opened);
    StateId first = b.add_state();
    StateId later = b.add_state();
    b.call(opened, rules_.white_space(), first);
    for (const auto& item : properties.items()) {
      const StateId member = b.add_state();  // a rule
      const StateId named = b.add_state();
      const StateId spaced = b.add_state();
      b.take(member, Json(item.key()).dump() + ":", named);
      b.call(named, rules_.white_space(), spaced);
      value(item.value(), below(place, item.key()), spaced, b.add_final_state());
      const StateId after_comma = b.add_state();
      const StateId next_later = b.add_state();
      const StateId before_member = b.add_state();
      b.take(later, ',', after_comma);
      b.call(after_comma, rules_.white_space(), before_member);
      b.call(before_member, member, next_later);
      if (first != kNoState) b.call(first, member, next_later);
      if (required.contains(item.key())) {
        first = kNoState;
      } else {
        b.skip(later, next_later);
        if (first != kNoState) {
          const StateId next_first = b.add_state();
          b.skip(first, next_first);
          first = next_first;
        }
      }
      later = next_later;
    }
    if (first != kNoState) b.take(first, '}', to);
    rules_.close(later, '}', to);
  }

  const Json& root_;
  GrammarBuilder& builder_;
  JsonRules& rules_;
  std::map<std::string, StateId> references_;
  std::vector<Pending> pending_;
  uint32_t nesting_ = 0;
};

}  // namespace

nlohmann::ordered_json read_schema(std::string_view text) {
  if (text.size() > kSchemaBytesMax) {
    user_error("the schema has {} bytes: at most {} are taken", text.size(), kSchemaBytesMax);
  }
  uint32_t keys = 0;
  auto limit = [&](int depth, Json::parse_event_t event, Json&) {
    if (depth > 4 * static_cast<int>(kSchemaNestingMax)) {
      user_error("the schema is nested more than {} deep", kSchemaNestingMax);
    }
    if (event == Json::parse_event_t::key && ++keys > kSchemaKeysMax) {
      user_error("the schema has more than {} keys", kSchemaKeysMax);
    }
    return true;
  };
  try {
    return Json::parse(text, limit);
  } catch (const Json::parse_error& error) {
    user_error("the schema is no valid JSON: look at byte {}", error.byte);
  } catch (const Json::exception&) {
    user_error("the schema has a number that is too large for JSON's readers");
  }
}

StateId schema_rule(const nlohmann::ordered_json& schema, GrammarBuilder& builder, JsonRules& rules) {
  return SchemaCompiler(schema, builder, rules).compile();
}

Grammar schema_grammar(const nlohmann::ordered_json& schema) {
  GrammarBuilder builder;
  JsonRules rules(builder);
  const StateId start = schema_rule(schema, builder, rules);
  return builder.build(start);
}

Grammar json_object_grammar() {
  GrammarBuilder builder;
  JsonRules rules(builder);
  const StateId start = rules.object();
  return builder.build(start);
}

}  // namespace lockstep::grammar
