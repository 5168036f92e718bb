// Reads any bytes as the body of a conversation, in each API.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "server/api_error.h"
#include "server/chat/chat_request.h"
#include "server/ollama/ollama_request.h"
#include "server/responses/response_request.h"

namespace {

using namespace lockstep::server;

template <class Parse>
void read(Parse parse, std::string_view body) {
  try {
    parse(body);
  } catch (const ApiError& error) {
    const nlohmann::json told = nlohmann::json::parse(error.body());
    if (error.status() != 400 || told.at("error").at("message").empty()) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  for (const Mode mode : {Mode::Lenient, Mode::Strict}) {
    read([mode](std::string_view given) { parse_chat_request(given, mode); }, body);
    read([mode](std::string_view given) { parse_response_request(given, mode); }, body);
  }
  read(parse_ollama_chat, body);
  read(parse_ollama_generate, body);
  return 0;
}
