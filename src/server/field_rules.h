// What is made of each field of a request's body, in each mode: the one place that decides it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "server/json_fields.h"
#include "server/mode.h"

namespace lockstep::server {

enum class Handling : uint8_t {
  Honoured,  // read by the request's parser, which may refuse single values
  Refused,   // any value but null, false, "", [] and {} is refused with the rule's reason
  Unknown,   // there is no such field
};

struct FieldRule {
  const char* name;
  Handling lenient, strict;
  const char* why = "it is not supported; leave it out";
};

// Refuses what the mode refuses and what no rule names.
// Throws an ApiError that names the field.
void apply_field_rules(JsonFields& fields, std::span<const FieldRule> rules, Mode mode);

}  // namespace lockstep::server
