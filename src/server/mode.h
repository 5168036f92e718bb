// How narrow the API is.
#pragma once

#include <cstdint>

namespace lockstep::server {

enum class Mode : uint8_t {
  Lenient,  // OpenAI's fields and those of other local servers
  Strict,   // what GroqCloud refuses is refused, to test programs against it
};

}  // namespace lockstep::server
