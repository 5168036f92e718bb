// Reads any bytes as an answer in each format of calls, whole and cut into pieces: the parts must be the
// same, and nothing but a call's wrapping may be lost.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "constrain/answer_parser.h"

namespace {

using namespace lockstep::constrain;

std::vector<AnswerPart> read(const CallFormat& format, const AnswerRules& rules, std::string_view text,
                             size_t piece) {
  AnswerParser parser(format, rules);
  std::vector<AnswerPart> parts;
  for (size_t at = 0; at < text.size(); at += piece) parser.push(text.substr(at, piece), parts);
  parser.finish(parts);
  uint32_t calls = 0;
  for (const AnswerPart& part : parts) {
    if (part.text.empty()) __builtin_trap();
    calls += part.kind == AnswerPart::Kind::Call;
    if (part.kind == AnswerPart::Kind::Arguments && calls == 0) __builtin_trap();
  }
  if (calls != parser.calls()) __builtin_trap();
  return parts;
}

}  // namespace

// The first byte says the format, what the content is, and how long the pieces are.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const CallFormat& format = call_formats()[data[0] % call_formats().size()];
  AnswerRules rules;
  rules.content = static_cast<ContentKind>(data[0] / 8 % 3);
  if (data[0] < 192) rules.tools.push_back({"f", nlohmann::ordered_json::object(), ""});
  const std::vector<AnswerPart> whole = read(format, rules, text, size);
  if (read(format, rules, text, 1) != whole) __builtin_trap();
  if (read(format, rules, text, 1 + data[0] % 7) != whole) __builtin_trap();
  if (rules.tools.empty() && !text.empty() && (whole.size() != 1 || whole[0].text != text)) __builtin_trap();
  return 0;
}
