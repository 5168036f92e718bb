// The fields of a chat request.
#pragma once

#include <span>

#include "server/field_rules.h"

namespace lockstep::server {

std::span<const FieldRule> chat_field_rules();

}  // namespace lockstep::server
