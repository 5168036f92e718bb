#include "server/conversation/answer_constraint.h"

#include "server/api_error.h"

namespace lockstep::server {

void constrain_answer(constrain::Constraints& constraints, const OutputFields& output,
                      engine::Request& generation) {
  if (!output.rules) return;
  try {
    generation.constraint = constraints.maker(*output.rules);
  } catch (const constrain::SchemaError& error) {
    const bool of_answer = error.place() == output.rules->schema_place;
    bad_field(error.place(), "{}{}", error.what(), of_answer ? "" : output.schema_hint);
  }
}

}  // namespace lockstep::server
