#include "server/field_rules.h"

#include <vector>

namespace lockstep::server {

void apply_field_rules(JsonFields& fields, std::span<const FieldRule> rules, Mode mode) {
  const auto handling = [mode](const FieldRule& rule) {
    return mode == Mode::Strict ? rule.strict : rule.lenient;
  };
  std::vector<std::string_view> names;
  for (const FieldRule& rule : rules) {
    if (handling(rule) != Handling::Unknown) names.push_back(rule.name);
  }
  fields.require_known(names);
  for (const FieldRule& rule : rules) {
    if (handling(rule) == Handling::Refused) fields.refuse(rule.name, rule.why);
  }
}

}  // namespace lockstep::server
