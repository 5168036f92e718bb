#include "grammar/schema_facts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>

namespace lockstep::grammar {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kDepthMax = 16;  // of references, alternatives and properties that are followed

const Json* find(const Json& schema, const char* keyword) {
  const auto found = schema.is_object() ? schema.find(keyword) : schema.end();
  return found == schema.end() ? nullptr : &*found;
}

uint32_t type_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::object:
      return kObjectBit;
    case Json::value_t::array:
      return kArrayBit;
    case Json::value_t::string:
      return kStringBit;
    case Json::value_t::boolean:
      return kBooleanBit;
    case Json::value_t::null:
      return kNullBit;
    case Json::value_t::number_float:
      return std::trunc(value.get<double>()) == value.get<double>() ? kIntegerBit : kFractionBit;
    default:
      return kIntegerBit;
  }
}

uint32_t type_named(const Json& name) {
  static const std::map<std::string, uint32_t> kBits = {{"object", kObjectBit},
                                                        {"array", kArrayBit},
                                                        {"string", kStringBit},
                                                        {"integer", kIntegerBit},
                                                        {"boolean", kBooleanBit},
                                                        {"null", kNullBit},
                                                        {"number", kIntegerBit | kFractionBit}};
  const auto found = name.is_string() ? kBits.find(name.get<std::string>()) : kBits.end();
  return found == kBits.end() ? kAnyType : found->second;
}

// Of anyOf, oneOf or an allOf with one member; null: none of them.
const Json* alternatives(const Json& schema) {
  for (const char* keyword : {"anyOf", "oneOf", "allOf"}) {
    const Json* list = find(schema, keyword);
    const bool one_of_them = list != nullptr && list->is_array() && !list->empty();
    if (one_of_them && (keyword != std::string_view("allOf") || list->size() == 1)) return list;
  }
  return nullptr;
}

// The values that enum and const leave, as an array; not an array: any.
Json constants(const Json& schema) {
  if (const Json* one = find(schema, "const")) return Json::array({*one});
  const Json* list = find(schema, "enum");
  return list != nullptr ? *list : Json();
}

// The schema of a property; null: it has none there.
const Json* property(const Json& schema, const std::string& name) {
  const Json* properties = find(schema, "properties");
  return properties == nullptr ? nullptr : find(*properties, name.c_str());
}

}  // namespace

const Json* referred_schema(const Json& root, std::string_view reference) {
  if (!reference.starts_with('#')) return nullptr;
  try {
    const Json::json_pointer pointer{std::string(reference.substr(1))};
    return root.contains(pointer) ? &root.at(pointer) : nullptr;
  } catch (const Json::exception&) {
    return nullptr;
  }
}

uint32_t SchemaFacts::types(const Json& schema, int depth) {
  effort_.spend(1);
  if (depth > kDepthMax) return kAnyType;
  if (const Json* reference = find(schema, "$ref")) {
    const Json* target =
        reference->is_string() ? referred_schema(root_, reference->get<std::string>()) : nullptr;
    return target == nullptr ? kAnyType : types(*target, depth + 1);
  }
  uint32_t bits = kAnyType;
  if (const Json* list = alternatives(schema)) {
    bits = 0;
    for (const Json& one : *list) bits |= types(one, depth + 1);
  }
  const Json values = constants(schema);
  if (values.is_array()) {
    uint32_t of_values = 0;
    for (const Json& value : values) of_values |= type_of(value);
    bits &= of_values;
  }
  if (const Json* type = find(schema, "type")) {
    uint32_t named = 0;
    for (const Json& name : type->is_array() ? *type : Json::array({*type})) named |= type_named(name);
    bits &= named;
  }
  return bits;
}

bool SchemaFacts::disjoint(const Json& a, const Json& b, const std::string& named, int depth) {
  effort_.spend(4);
  if (depth > kDepthMax) return false;
  // One that stands for others: all of them.
  const std::array<std::array<const Json*, 2>, 2> sides = {{{&a, &b}, {&b, &a}}};
  for (const auto& [one, other] : sides) {
    if (const Json* reference = find(*one, "$ref")) {
      const Json* target =
          reference->is_string() ? referred_schema(root_, reference->get<std::string>()) : nullptr;
      return target != nullptr && disjoint(*target, *other, named, depth + 1);
    }
    if (const Json* list = alternatives(*one)) {
      return std::all_of(list->begin(), list->end(), [&, against = other](const Json& each) {
        return disjoint(each, *against, named, depth + 1);
      });
    }
  }
  const uint32_t common = types(a, depth) & types(b, depth);
  if (common == 0) return true;
  const Json of_a = constants(a);
  const Json of_b = constants(b);
  if (of_a.is_array() && of_b.is_array()) {
    effort_.spend(of_a.size() * of_b.size());
    // Without the order of members, which says nothing.
    const nlohmann::json values(of_b);
    return std::none_of(of_a.begin(), of_a.end(), [&](const Json& value) {
      return std::find(values.begin(), values.end(), nlohmann::json(value)) != values.end();
    });
  }
  if (common != kObjectBit) return false;
  for (const auto& [one, other] : sides) {
    Json present = Json::array();
    const Json* required = find(*one, "required");
    if (required != nullptr && required->is_array()) present = *required;
    if (property(*one, named) != nullptr) present.push_back(named);
    const Json* additional = find(*other, "additionalProperties");
    const bool closed = additional != nullptr && *additional == Json(false);
    for (const Json& name : present) {
      if (!name.is_string()) continue;
      const Json* mine = property(*one, name.get<std::string>());
      const Json* theirs = property(*other, name.get<std::string>());
      if (theirs == nullptr && closed && find(*other, "patternProperties") == nullptr) return true;
      if (mine != nullptr && theirs != nullptr && disjoint(*mine, *theirs, {}, depth + 1)) return true;
    }
  }
  return false;
}

}  // namespace lockstep::grammar
