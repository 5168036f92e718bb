// The fields of a request for a response.
#pragma once

#include <span>

#include "server/field_rules.h"

namespace lockstep::server {

std::span<const FieldRule> response_field_rules();

}  // namespace lockstep::server
