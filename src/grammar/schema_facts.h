// What can be said of schemas without a grammar.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "grammar/automaton.h"

namespace lockstep::grammar {

// The schema in `root` that a $ref names: "#" or "#/" and a JSON pointer. Null: there is none.
const nlohmann::ordered_json* referred_schema(const nlohmann::ordered_json& root, std::string_view reference);

// Types of values, a bit each. A number that is an integer has both.
enum TypeBits : uint32_t {
  kObjectBit = 1,
  kArrayBit = 2,
  kStringBit = 4,
  kIntegerBit = 8,
  kFractionBit = 16,  // numbers that are no integers
  kBooleanBit = 32,
  kNullBit = 64,
  kAnyType = 127,
};

// Schemas below one root.
class SchemaFacts {
 public:
  SchemaFacts(const nlohmann::ordered_json& root, Effort& effort) : root_(root), effort_(effort) {}

  // Types that a value may have that satisfies the schema, and perhaps more.
  uint32_t types(const nlohmann::ordered_json& schema) { return types(schema, 0); }
  // No value satisfies both: they have other types or constants, or a property of an object does that one of
  // them requires, or that is `named` and one of them may have. False where that is not seen.
  bool disjoint(const nlohmann::ordered_json& a, const nlohmann::ordered_json& b, const std::string& named) {
    return disjoint(a, b, named, 0);
  }

 private:
  uint32_t types(const nlohmann::ordered_json& schema, int depth);
  bool disjoint(const nlohmann::ordered_json& a, const nlohmann::ordered_json& b, const std::string& named,
                int depth);

  const nlohmann::ordered_json& root_;
  Effort& effort_;
};

}  // namespace lockstep::grammar
