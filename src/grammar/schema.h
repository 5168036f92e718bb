// Grammars of the JSON texts that satisfy a JSON Schema.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "grammar/grammar.h"
#include "grammar/json_rules.h"

namespace lockstep::grammar {

inline constexpr size_t kSchemaBytesMax = 262144;
inline constexpr uint32_t kSchemaKeysMax = 10000;
inline constexpr uint32_t kSchemaNestingMax = 64;

// Reads a schema with its properties in their order. Throws a user's error for what is no JSON, larger than
// kSchemaBytesMax, of more than kSchemaKeysMax keys or nested deeper than kSchemaNestingMax.
nlohmann::ordered_json read_schema(std::string_view text);

// Every text of the grammar is JSON, in the form that json_rules.h says, and satisfies the schema; an object
// has its properties in the schema's order, and others only behind them and where additionalProperties lets
// them in. Taken are type (one or several), properties, required, additionalProperties, propertyNames (of an
// object without properties), minProperties (beyond what is required, 1 at the most), maxProperties (of such
// an object), items, prefixItems, minItems, maxItems, minLength, maxLength, pattern (pattern.h), format
// (formats.h), the two minimums and maximums and multipleOf (decimals.h), enum, const, anyOf, oneOf of
// schemas that are seen to be disjoint (schema_facts.h), allOf with one member, and $ref to a place in the
// same schema, recursive ones too. Without a type, it follows from the keywords. Annotations such as
// description are passed over. Throws a user's error that names the keyword and its place for everything
// else, for a schema that no finite text satisfies, and for one that needs more than kStatesMax states or
// kEffortMax steps.
Grammar schema_grammar(const nlohmann::ordered_json& schema);

// The same as one rule of a larger grammar: its first state. That a finite text satisfies the schema is for
// the grammar's builder to check, where it can see it, and for the caller by Grammar::height().
StateId schema_rule(const nlohmann::ordered_json& schema, GrammarBuilder& builder, JsonRules& rules);

// Any JSON object: what JSON mode gives.
Grammar json_object_grammar();

}  // namespace lockstep::grammar
