// Reads any bytes as the body of a request for chat completions.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "server/api_error.h"
#include "server/chat/chat_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using lockstep::server::ApiError;
  try {
    lockstep::server::parse_chat_request(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const ApiError& error) {
    const nlohmann::json body = nlohmann::json::parse(error.body());
    if (error.status() != 400 || body.at("error").at("message").empty()) __builtin_trap();
  }
  return 0;
}
