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
#include "base/json_scan.h"
#include "base/printable.h"
#include "grammar/decimals.h"
#include "grammar/formats.h"
#include "grammar/json_rules.h"
#include "grammar/pattern.h"
#include "grammar/schema_facts.h"

namespace lockstep::grammar {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kAnnotations = {
    "title",   "description", "default", "examples", "example", "deprecated",  "readOnly",     "writeOnly",
    "$schema", "$id",         "$anchor", "$comment", "$defs",   "definitions", "discriminator"};
constexpr std::array kObjectKeywords = {"properties",    "required",          "additionalProperties",
                                        "propertyNames", "patternProperties", "minProperties",
                                        "maxProperties"};
constexpr std::array kArrayKeywords = {"items", "prefixItems", "minItems", "maxItems"};
constexpr std::array kStringKeywords = {"minLength", "maxLength", "pattern", "format"};
constexpr std::array kNumberKeywords = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum",
                                        "multipleOf"};
// Of a string with a pattern or format and a maxLength that is larger still.
constexpr uint32_t kPatternLengthMax = 512;
constexpr std::array kTypes = {"object", "array", "string", "number", "integer", "boolean", "null"};
constexpr const char* kTaken =
    "type, properties, required, additionalProperties, propertyNames, patternProperties, minProperties, "
    "maxProperties, items, "
    "prefixItems, minItems, maxItems, minLength, maxLength, pattern, format, minimum, maximum, "
    "exclusiveMinimum, exclusiveMaximum, multipleOf, enum, const, anyOf, oneOf, allOf, $ref and $defs";

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
      : root_(root), builder_(builder), rules_(rules), facts_(root, rules.effort()) {}

  // The first state of the rule for the whole schema.
  StateId compile() {
    const StateId start = referred("#", "#", {});
    while (!pending_.empty()) {
      const Pending next = std::move(pending_.back());
      pending_.pop_back();
      value(*next.schema, next.place, next.start, builder_.add_final_state(), next.named);
    }
    return start;
  }

 private:
  struct Pending {
    const Json* schema;
    std::string place;
    StateId start;
    std::string named;
  };

  template <class... Args>
  [[noreturn]] static void refuse(const std::string& place, fmt::format_string<Args...> format,
                                  Args&&... args) {
    user_error("the schema at '{}' {}", printable(place), fmt::format(format, std::forward<Args>(args)...));
  }

  // The first state of the rule for the schema that a $ref names; it is made later.
  StateId referred(const std::string& reference, const std::string& place, const std::string& named) {
    const std::pair key(reference, named);
    const auto known = references_.find(key);
    if (known != references_.end()) return known->second;
    const Json* schema = referred_schema(root_, reference);
    if (schema == nullptr) {
      refuse(
          place,
          "refers to '{}', which is nowhere in it: a $ref is '#' or leads to a place such as '#/$defs/NAME'",
          printable(reference));
    }
    const StateId start = builder_.add_state();
    references_[key] = start;
    pending_.push_back({schema, reference, start, named});
    return start;
  }

  // Writes the states from `from` to `to` for one schema. An object that may have the property `named` has
  // it.
  void value(const Json& schema, const std::string& place, StateId from, StateId to,
             const std::string& named = {}) {
    if (schema == Json(true)) return builder_.call(from, rules_.value(), to);
    if (!schema.is_object()) refuse(place, "must be an object with keywords");
    if (++nesting_ > kSchemaNestingMax) refuse(place, "is nested more than {} deep", kSchemaNestingMax);
    check_keywords(schema, place);
    check_format(schema, place);
    if (const Json* reference = find(schema, "$ref")) {
      if (!reference->is_string()) refuse(place, "has a $ref that is no string");
      builder_.call(from, referred(reference->get<std::string>(), place, named), to);
    } else if (const Json* any = alternatives(schema, place, "anyOf")) {
      each_alternative(*any, below(place, "anyOf"), named, from, to);
    } else if (const Json* one = alternatives(schema, place, "oneOf")) {
      const std::string name = discriminating(schema);
      check_disjoint(*one, place, name);
      each_alternative(*one, below(place, "oneOf"), name, from, to);
    } else if (const Json* all = alternatives(schema, place, "allOf")) {
      if (all->size() > 1) refuse(place, "has an allOf of several schemas: only one is taken, merge them");
      each_alternative(*all, below(place, "allOf"), named, from, to);
    } else if (schema.contains("enum") || schema.contains("const")) {
      constants(schema, place, from, to);
    } else {
      const std::vector<std::string> types = types_of(schema, place);
      if (types.empty()) builder_.call(from, rules_.value(), to);
      for (const std::string& type : types) typed(type, schema, place, named, from, to);
    }
    --nesting_;
  }

  // Every keyword is one that is taken, and none stands beside one that does not allow it.
  void check_keywords(const Json& schema, const std::string& place) {
    static constexpr std::array kAlone = {"$ref", "anyOf", "oneOf", "allOf", "enum", "const"};
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

  // Of a type that is no string's too, where `int32` would say more than the type.
  static void check_format(const Json& schema, const std::string& place) {
    const Json* format = find(schema, "format");
    if (format == nullptr) return;
    if (!format->is_string()) refuse(place, "has a format that is no string");
    const auto name = format->get<std::string>();
    if (format_pattern(name) != nullptr) return;
    refuse(place, "has the format '{}', which is not supported: {} are", printable(name), format_names());
  }

  static const Json* alternatives(const Json& schema, const std::string& place, const char* keyword) {
    const Json* list = find(schema, keyword);
    if (list != nullptr && (!list->is_array() || list->empty())) {
      refuse(place, "has '{}' that is no list of schemas with at least one", keyword);
    }
    return list;
  }

  void each_alternative(const Json& list, const std::string& place, const std::string& named, StateId from,
                        StateId to) {
    for (size_t i = 0; i < list.size(); ++i) value(list[i], below(place, std::to_string(i)), from, to, named);
  }

  // Refuses alternatives of which a value might satisfy two: of all others oneOf is anyOf. They always have
  // the property `named`, if they may.
  void check_disjoint(const Json& list, const std::string& place, const std::string& named) {
    for (size_t second = 0; second < list.size(); ++second) {
      for (size_t first = 0; first < second; ++first) {
        bool disjoint = false;
        worked(place, "a oneOf", [&] { disjoint = facts_.disjoint(list[first], list[second], named); });
        if (disjoint) continue;
        refuse(
            place,
            "has a oneOf whose alternatives {} and {} a value could both satisfy, which is not supported: "
            "give "
            "them different types, or a required property with another const or enum in each, or write anyOf",
            first, second);
      }
    }
  }

  // The property that tells oneOf's alternatives apart.
  static std::string discriminating(const Json& schema) {
    const Json* discriminator = find(schema, "discriminator");
    if (discriminator == nullptr || !discriminator->is_object()) return {};
    const Json* name = find(*discriminator, "propertyName");
    return name != nullptr && name->is_string() ? name->get<std::string>() : std::string();
  }

  // Does what may take too much effort, or asks too much of `what`.
  template <class Work>
  static void worked(const std::string& place, const std::string& what, Work work) {
    try {
      work();
    } catch (const Error& error) {
      refuse(place, "has {}, {}", what, error.what());
    }
  }

  // Of a schema, the keywords of a list alone: what a rule can be kept by.
  template <class List>
  static std::string key_of(std::string_view kind, const Json& schema, const List& keywords) {
    Json key = Json::array({kind});
    for (const char* keyword : keywords) {
      const Json* value = find(schema, keyword);
      key.push_back(value == nullptr ? Json() : *value);
    }
    return key.dump();
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

  void typed(const std::string& type, const Json& schema, const std::string& place, const std::string& named,
             StateId from, StateId to) {
    if (type == "object") return object(schema, place, named, from, to);
    if (type == "array") return array(schema, place, from, to);
    if (type == "string") return string(schema, place, from, to);
    if (type == "number" || type == "integer") return number(schema, place, type == "integer", from, to);
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
    const Count length = count(schema, place, "minLength", "maxLength");
    if (!schema.contains("pattern") && !schema.contains("format")) {
      return rules_.string_rest(quoted(from), length, to);
    }
    const StateId rule =
        rules_.rule(key_of("string", schema, kStringKeywords), [&](StateId start, StateId end) {
          rules_.string_rest(quoted(start), texts(schema, place, length), end);
        });
    builder_.call(from, rule, to);
  }

  // Behind a quote.
  StateId quoted(StateId from) {
    const StateId rest = builder_.add_state();
    builder_.take(from, '"', rest);
    return rest;
  }

  // The strings that satisfy pattern, format and lengths.
  Automaton texts(const Json& schema, const std::string& place, const Count& length) {
    Effort& effort = rules_.effort();
    std::optional<Automaton> texts;
    auto also = [&](const std::string& what, const std::string& pattern) {
      worked(place, what, [&] {
        Automaton more = pattern_automaton(pattern, effort);
        texts = texts ? intersection(*texts, more, effort) : std::move(more);
      });
    };
    if (const Json* pattern = find(schema, "pattern")) {
      if (!pattern->is_string()) refuse(place, "has a pattern that is no string");
      also(fmt::format("the pattern '{}'", printable(pattern->get<std::string>())),
           pattern->get<std::string>());
    }
    if (const Json* format = find(schema, "format")) {
      also("the format '" + format->get<std::string>() + "'", *format_pattern(format->get<std::string>()));
    }
    // The lengths, where they are not those of the texts anyway.
    const Count own = texts->empty() ? Count{} : lengths(*texts);
    const bool binds = own.least < length.least || (length.most && (!own.most || *own.most > *length.most));
    if (binds) {
      Count kept = length;
      if (kept.most) kept.most = std::min(*kept.most, std::max(kept.least, kPatternLengthMax));
      worked(place, "a pattern or format with lengths",
             [&] { texts = intersection(*texts, texts_of_length(kept), effort); });
    }
    if (texts->empty()) refuse(place, "has a pattern, format and lengths that no string satisfies together");
    return *std::move(texts);
  }

  void number(const Json& schema, const std::string& place, bool integers, StateId from, StateId to) {
    if (!has_any(schema, kNumberKeywords)) {
      return builder_.call(from, integers ? rules_.integer() : rules_.number(), to);
    }
    const std::string key = key_of(integers ? "integer" : "number", schema, kNumberKeywords);
    const StateId rule = rules_.rule(key, [&](StateId start, StateId end) {
      const NumberBounds bounds = number_bounds(schema, place);
      Automaton numbers;
      worked(place, "bounds of a number",
             [&] { numbers = numbers_within(bounds, integers, rules_.effort()); });
      if (numbers.empty()) {
        refuse(place, "has bounds with no {} digits between its minimum and its maximum",
               integers ? "integer of at most 18" : "number of at most 15");
      }
      rules_.plain(start, numbers, end);
    });
    builder_.call(from, rule, to);
  }

  static NumberBounds number_bounds(const Json& schema, const std::string& place) {
    auto read = [&](const char* keyword) {
      const Json* number = find(schema, keyword);
      if (number != nullptr && !number->is_number()) refuse(place, "has a {} that is no number", keyword);
      return number == nullptr ? std::nullopt : std::optional(decimal_of(*number));
    };
    NumberBounds bounds;
    auto bound = [&](std::vector<NumberBounds::Bound>& side, const char* keyword, bool exclusive) {
      if (const std::optional<Decimal> value = read(keyword)) side.push_back({*value, exclusive});
    };
    bound(bounds.least, "minimum", false);
    bound(bounds.least, "exclusiveMinimum", true);
    bound(bounds.most, "maximum", false);
    bound(bounds.most, "exclusiveMaximum", true);
    bounds.multiple_of = read("multipleOf");
    const bool positive = !bounds.multiple_of || *find(schema, "multipleOf") > 0;
    if (!positive) refuse(place, "has a multipleOf that is not above 0");
    return bounds;
  }

  StateId rule(const Json& schema, const std::string& place) {
    if (schema == Json(true)) return rules_.value();
    const StateId start = builder_.add_state();
    value(schema, place, start, builder_.add_final_state());
    return start;
  }

  void array(const Json& schema, const std::string& place, StateId from, StateId to) {
    Count range = count(schema, place, "minItems", "maxItems");
    std::vector<StateId> first_items;
    if (const Json* list = find(schema, "prefixItems")) {
      if (!list->is_array()) refuse(place, "has prefixItems that are no list of schemas");
      for (size_t i = 0; i < list->size(); ++i) {
        first_items.push_back(rule(list->at(i), below(below(place, "prefixItems"), std::to_string(i))));
      }
    }
    const Json* items = find(schema, "items");
    if (items != nullptr && *items == Json(false)) {
      const auto most = static_cast<uint32_t>(first_items.size());
      if (range.least > most) refuse(place, "has more minItems than prefixItems, and lets no others in");
      range.most = std::min(range.most.value_or(most), most);
      items = nullptr;
    }
    const StateId item = items == nullptr ? rules_.value() : rule(*items, below(place, "items"));
    rules_.array(from, first_items, item, range, to);
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

  void object(const Json& schema, const std::string& place, const std::string& named, StateId from,
              StateId to) {
    const Json* properties = find(schema, "properties");
    if (properties != nullptr && !properties->is_object()) {
      refuse(place, "has properties that are no object of schemas");
    }
    std::set<std::string> missing = required_names(schema, place);
    std::set<std::string> required = missing;
    if (properties != nullptr) {
      if (properties->contains(named)) required.insert(named);
      for (const auto& item : properties->items()) missing.erase(item.key());
    }
    if (!missing.empty()) {
      refuse(place, "requires '{}', which is not among its properties", printable(*missing.begin()));
    }
    if (schema.contains("patternProperties")) return pattern_members(schema, place, from, to);
    const Json* additional = find(schema, "additionalProperties");
    const bool any_names = properties == nullptr || properties->empty();
    const bool open = additional == nullptr ? properties == nullptr : *additional != Json(false);
    const Count range = count(schema, place, "minProperties", "maxProperties");
    if (!open) return members(schema, place, required, range, kNoState, from, to);
    const StateId values =
        additional == nullptr ? rules_.value() : rule(*additional, below(place, "additionalProperties"));
    if (!any_names) {
      const StateId names = names_besides(*properties, place);
      return members(schema, place, required, range, rules_.member(names, values), from, to);
    }
    if (range.least > 1) refuse_least(place);
    rules_.map(from, rules_.member(any_name(schema, place), values), range, to);
  }

  [[noreturn]] static void refuse_least(const std::string& place) {
    refuse(place,
           "has a minProperties above what it requires, which is not supported beyond 1: require the "
           "properties");
  }

  // Names of an object without properties of its own.
  StateId any_name(const Json& schema, const std::string& place) {
    const Json* names = find(schema, "propertyNames");
    if (names == nullptr) return rules_.string();
    const bool strings = facts_.types(*names) == kStringBit ||
                         (names->is_object() && !names->contains("type") && has_any(*names, kStringKeywords));
    if (!strings) refuse(below(place, "propertyNames"), "must have the type string");
    return rule(*names, below(place, "propertyNames"));
  }

  // An object whose names match one pattern.
  void pattern_members(const Json& schema, const std::string& place, StateId from, StateId to) {
    const Json& patterns = *find(schema, "patternProperties");
    const Json* additional = find(schema, "additionalProperties");
    const bool alone = !schema.contains("properties") && !schema.contains("propertyNames") &&
                       (additional == nullptr || *additional == Json(false));
    if (!patterns.is_object() || patterns.size() != 1 || !alone) {
      refuse(
          place,
          "has patternProperties that are not one pattern without other properties, which is not supported");
    }
    const Count range = count(schema, place, "minProperties", "maxProperties");
    if (range.least > 1) refuse_least(place);
    const auto member = patterns.begin();
    const std::string inside = below(below(place, "patternProperties"), member.key());
    const StateId names = rule(Json{{"type", "string"}, {"pattern", member.key()}}, inside);
    rules_.map(from, rules_.member(names, rule(member.value(), inside)), range, to);
  }

  // All names that are not among the properties.
  StateId names_besides(const Json& properties, const std::string& place) {
    std::set<std::u32string> names;
    for (const auto& item : properties.items()) names.insert(characters_of(item.key()));
    const StateId start = builder_.add_state();
    worked(place, "additionalProperties besides many properties", [&] {
      rules_.string_rest(quoted(start), all_texts_but(names, rules_.effort()), builder_.add_final_state());
    });
    return start;
  }

  // The properties in their order, and then members of the rule `others`, if there is one. At `first`, while
  // there is one, none has come yet, at `later` one has.
  void members(const Json& schema, const std::string& place, const std::set<std::string>& required,
               const Count& range, StateId others, StateId from, StateId to) {
    const Json* listed = find(schema, "properties");
    const Json properties = listed == nullptr ? Json::object() : *listed;
    if (schema.contains("propertyNames"))
      refuse(place, "has propertyNames beside properties, which is not supported");
    if (range.least > std::max<size_t>(required.size(), 1)) refuse_least(place);
    if (range.most && (others != kNoState || *range.most < properties.size())) {
      refuse(place, "has a maxProperties below the number of its properties, which is not supported");
    }
    GrammarBuilder& b = builder_;
    const StateId opened = b.add_state();
    b.take(from, '{', opened);
    StateId first = b.add_state();
    StateId later = b.add_state();
    b.call(opened, rules_.white_space(), first);
    const auto past_comma = [&](StateId value_end) {
      const StateId comma = b.add_state();
      const StateId next = b.add_state();
      b.take(value_end, ',', comma);
      b.call(comma, rules_.white_space(), next);
      return next;
    };
    for (const auto& item : properties.items()) {
      const StateId member = b.add_state();  // a rule
      const StateId named = b.add_state();
      const StateId spaced = b.add_state();
      b.take(member, Json(item.key()).dump() + ":", named);
      b.call(named, rules_.white_space(), spaced);
      value(item.value(), below(below(place, "properties"), item.key()), spaced, b.add_final_state());
      const StateId next_later = b.add_state();
      b.call(past_comma(later), member, next_later);
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
    if (first != kNoState && range.least == 0) b.take(first, '}', to);
    rules_.close(later, '}', to);
    if (others == kNoState) return;
    b.call(past_comma(later), others, later);
    if (first != kNoState) b.call(first, others, later);
  }

  const Json& root_;
  GrammarBuilder& builder_;
  JsonRules& rules_;
  SchemaFacts facts_;
  std::map<std::pair<std::string, std::string>, StateId> references_;  // by reference and named property
  std::vector<Pending> pending_;
  uint32_t nesting_ = 0;
};

}  // namespace

nlohmann::ordered_json read_schema(std::string_view text) {
  if (text.size() > kSchemaBytesMax) {
    user_error("the schema has {} bytes: at most {} are taken", text.size(), kSchemaBytesMax);
  }
  uint32_t keys = 0;
  scan_json(text, [&](const JsonEvent& event) {
    if (event.depth > 4 * kSchemaNestingMax) {
      user_error("the schema is nested more than {} deep", kSchemaNestingMax);
    }
    if (event.kind == JsonEvent::Kind::Name && ++keys > kSchemaKeysMax) {
      user_error("the schema has more than {} keys", kSchemaKeysMax);
    }
  });
  try {
    return Json::parse(text);
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
