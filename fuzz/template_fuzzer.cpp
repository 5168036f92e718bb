// Parses and renders any bytes as a chat template, over a fixed conversation and small limits.
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>

#include "base/error.h"
#include "text/chat_template.h"

namespace {

const nlohmann::ordered_json& conversation() {
  static const auto variables = nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "Be brief"},
                 {"role": "user", "content": "Gr\u00fc\u00df 😀 <think> a,b"},
                 {"role": "assistant", "content": null,
                  "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"x": [1, 2.5, true]}}}]},
                 {"role": "tool", "content": [{"type": "text", "text": "t"}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "x": 3, "y": -1.5e300, "z": ""})");
  return variables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  lockstep::text::RenderOptions options;
  options.maximum_steps = 20000;
  options.maximum_bytes = 65536;
  options.now = std::tm{};
  try {
    std::string source(reinterpret_cast<const char*>(data), size);
    lockstep::text::ChatTemplate::parse(std::move(source), "the fuzzed template")
        .render(conversation(), options);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::User) throw;
  }
  return 0;
}
