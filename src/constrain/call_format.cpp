#include "constrain/call_format.h"

#include <algorithm>
#include <array>
#include <vector>

namespace lockstep::constrain {

namespace {

// A format, and what its templates have in their source, all of it.
struct Known {
  CallFormat format;
  std::array<std::string_view, 2> signs;
};

constexpr CallFormat kHermes = {.name = "hermes",
                                .begin = "<tool_call>",
                                .first = "",
                                .open = "\n{\"name\": \"",
                                .middle = "\", \"arguments\": ",
                                .close = "}\n</tool_call>",
                                .next = "\n<tool_call>",
                                .end = ""};
constexpr CallFormat kLlama = {.name = "llama",
                               .begin = "<|python_tag|>",
                               .first = "",
                               .open = "{\"name\": \"",
                               .middle = "\", \"parameters\": ",
                               .close = "}",
                               .next = "",  // its templates take one call a message
                               .end = "",
                               .bare = true};
// Calls as a JSON list after `begin`.
constexpr CallFormat list_after(std::string_view name, std::string_view begin) {
  return {.name = name,
          .begin = begin,
          .first = "[",
          .open = "{\"name\": \"",
          .middle = "\", \"arguments\": ",
          .close = "}",
          .next = ", ",
          .end = "]"};
}
constexpr CallFormat kMistral = list_after("mistral", "[TOOL_CALLS]");
constexpr CallFormat kGranite = list_after("granite", "<|tool_call|>");
constexpr CallFormat kMistralArguments = {.name = "mistral-args",
                                          .begin = "[TOOL_CALLS]",
                                          .first = "",
                                          .open = "",
                                          .middle = "[ARGS]",
                                          .close = "",
                                          .next = "[TOOL_CALLS]",
                                          .end = ""};

// The first whose signs are there.
constexpr std::array kKnown = {Known{kMistralArguments, {"[TOOL_CALLS]", "[ARGS]"}},
                               Known{kMistral, {"[TOOL_CALLS]", ""}}, Known{kHermes, {"<tool_call>", ""}},
                               Known{kGranite, {"<|tool_call|>", ""}},
                               Known{kLlama, {"<|start_header_id|>", "\"parameters\": "}}};
constexpr std::array kFormats = {kHermes, kLlama, kMistral, kMistralArguments, kGranite};

}  // namespace

const CallFormat& hermes_format() {
  return kFormats[0];
}

const CallFormat* format_of_template(std::string_view source) {
  if (source.find("tools") == std::string_view::npos) return nullptr;
  for (const Known& known : kKnown) {
    const bool has_all = std::all_of(known.signs.begin(), known.signs.end(), [&](std::string_view sign) {
      return source.find(sign) != std::string_view::npos;
    });
    if (has_all) return &known.format;
  }
  return nullptr;
}

std::span<const CallFormat> call_formats() {
  return kFormats;
}

bool spells(const CallFormat& format, std::string_view part) {
  const std::array texts = {format.begin, format.first, format.open, format.middle,
                            format.close, format.next,  format.end};
  return std::any_of(texts.begin(), texts.end(),
                     [&](std::string_view text) { return text.find(part) != std::string_view::npos; });
}

}  // namespace lockstep::constrain
