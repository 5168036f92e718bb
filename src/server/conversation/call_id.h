// The ids of calls.
#pragma once

#include <string>

#include "base/identifiers.h"

namespace lockstep::server {

// 9 characters, as Groq's are and as Mistral's templates demand.
inline std::string new_call_id() {
  return new_ulid().substr(17);
}

}  // namespace lockstep::server
