// Takes an answer apart into its content and its calls, as it comes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "constrain/answer_grammar.h"
#include "constrain/call_format.h"

namespace lockstep::constrain {

struct AnswerPart {
  enum class Kind : uint8_t {
    Content,    // more of the text
    Call,       // the next call begins; `text` is its tool's name
    Arguments,  // more of the last call's arguments
  };
  Kind kind;
  std::string text;

  bool operator==(const AnswerPart&) const = default;
};

// Reads what answer_grammar() makes for the same format and rules, cut anywhere. Of any other text, what is
// no call is content. What may still become a call's beginning is held back.
class AnswerParser {
 public:
  // The format must outlive the parser.
  AnswerParser(const CallFormat& format, const AnswerRules& rules);

  // Adds the parts that the text brings, neighbours of a kind in one.
  void push(std::string_view text, std::vector<AnswerPart>& parts);
  // The answer is at its end, perhaps in the middle of a call. The beginning of a call's wrapping is content
  // where there may be any.
  void finish(std::vector<AnswerPart>& parts);

  uint32_t calls() const { return calls_; }

 private:
  enum class State : uint8_t { Start, Text, Literal, Name, Arguments, BetweenCalls, Rest };
  bool step(std::vector<AnswerPart>& parts);
  bool start();
  bool open_call();
  bool text(std::vector<AnswerPart>& parts);
  bool name(std::vector<AnswerPart>& parts);
  bool arguments(std::vector<AnswerPart>& parts);
  bool between_calls();
  bool expect(std::string_view literal, State then);
  bool give_up();

  const CallFormat& format_;
  const ContentKind content_;
  const std::string opening_;
  const bool bare_;
  State state_;
  std::string held_;  // not read yet
  std::string literal_;
  State after_literal_ = State::Rest;
  uint32_t depth_ = 0;  // of open brackets in the arguments
  bool in_string_ = false, escaped_ = false;
  uint32_t calls_ = 0;
};

}  // namespace lockstep::constrain
