// The constraint of an answer.
#pragma once

#include "constrain/constraints.h"
#include "engine/request.h"
#include "server/conversation/output_reader.h"

namespace lockstep::server {

// Lets the answer be what the output says. Throws an ApiError that names the schema that no grammar is made
// of.
void constrain_answer(constrain::Constraints& constraints, const OutputFields& output,
                      engine::Request& generation);

}  // namespace lockstep::server
