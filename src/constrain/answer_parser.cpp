#include "constrain/answer_parser.h"

#include <algorithm>
#include <utility>

namespace lockstep::constrain {

namespace {

void add(AnswerPart::Kind kind, std::string_view text, std::vector<AnswerPart>& parts) {
  if (text.empty()) return;
  const bool joins = !parts.empty() && parts.back().kind == kind && kind != AnswerPart::Kind::Call;
  if (joins) {
    parts.back().text += text;
  } else {
    parts.push_back({kind, std::string(text)});
  }
}

}  // namespace

AnswerParser::AnswerParser(const CallFormat& format, const AnswerRules& rules)
    : format_(format),
      content_(rules.content),
      opening_(opening(format)),
      bare_(can_be_bare(format, rules)),
      state_(rules.tools.empty() ? State::Rest : State::Start) {}

void AnswerParser::push(std::string_view text, std::vector<AnswerPart>& parts) {
  held_ += text;
  while (!held_.empty() && step(parts)) {
  }
}

void AnswerParser::finish(std::vector<AnswerPart>& parts) {
  const bool in_text = state_ == State::Start || state_ == State::Text;
  if (in_text && content_ != ContentKind::Absent) add(AnswerPart::Kind::Content, held_, parts);
  held_.clear();
}

// Reads on; false where more text is needed first.
bool AnswerParser::step(std::vector<AnswerPart>& parts) {
  switch (state_) {
    case State::Start:
      return start();
    case State::Text:
      return text(parts);
    case State::Literal:
      return expect(literal_, after_literal_);
    case State::Name:
      return name(parts);
    case State::Arguments:
      return arguments(parts);
    case State::BetweenCalls:
      return between_calls();
    case State::Rest:
      add(AnswerPart::Kind::Content, std::exchange(held_, {}), parts);
      return false;
  }
  return false;
}

// Takes a literal off; where it is not there, what is held is content.
bool AnswerParser::expect(std::string_view literal, State then) {
  if (held_.starts_with(literal)) {
    held_.erase(0, literal.size());
    state_ = then;
    return true;
  }
  return literal.starts_with(held_) ? false : give_up();
}

bool AnswerParser::give_up() {
  state_ = State::Rest;
  return true;
}

// `begin` is read: what follows is a call.
bool AnswerParser::open_call() {
  literal_ = opening_;
  after_literal_ = State::Name;
  state_ = literal_.empty() ? State::Name : State::Literal;
  return true;
}

bool AnswerParser::start() {
  if (bare_ && opening_.starts_with(held_) && held_ != opening_) return false;
  if (bare_ && held_.starts_with(opening_)) return expect(opening_, State::Name);
  if (content_ == ContentKind::Text) {
    state_ = State::Text;
    return true;
  }
  if (!held_.starts_with(format_.begin)) return format_.begin.starts_with(held_) ? false : give_up();
  held_.erase(0, format_.begin.size());
  return open_call();
}

bool AnswerParser::text(std::vector<AnswerPart>& parts) {
  const size_t at = held_.find(format_.begin);
  if (at != std::string::npos) {
    add(AnswerPart::Kind::Content, std::string_view(held_).substr(0, at), parts);
    held_.erase(0, at + format_.begin.size());
    return open_call();
  }
  size_t kept = std::min(held_.size(), format_.begin.size() - 1);
  while (!held_.ends_with(format_.begin.substr(0, kept))) --kept;
  add(AnswerPart::Kind::Content, std::string_view(held_).substr(0, held_.size() - kept), parts);
  held_.erase(0, held_.size() - kept);
  return false;
}

bool AnswerParser::name(std::vector<AnswerPart>& parts) {
  const size_t at = held_.find(format_.middle[0]);
  if (at == std::string::npos) return false;
  if (at == 0) return give_up();
  add(AnswerPart::Kind::Call, std::string_view(held_).substr(0, at), parts);
  ++calls_;
  held_.erase(0, at);
  literal_ = format_.middle;
  after_literal_ = State::Arguments;
  state_ = State::Literal;
  depth_ = 0;
  in_string_ = escaped_ = false;
  return true;
}

// Up to the bracket that closes the first one.
bool AnswerParser::arguments(std::vector<AnswerPart>& parts) {
  if (depth_ == 0 && held_[0] != '{') return give_up();
  size_t end = 0;
  bool closed = false;
  while (end < held_.size() && !closed) {
    const char byte = held_[end++];
    if (escaped_) {
      escaped_ = false;
    } else if (in_string_) {
      escaped_ = byte == '\\';
      in_string_ = byte != '"';
    } else if (byte == '"') {
      in_string_ = true;
    } else if (byte == '{' || byte == '[') {
      ++depth_;
    } else if (byte == '}' || byte == ']') {
      closed = --depth_ == 0;
    }
  }
  add(AnswerPart::Kind::Arguments, std::string_view(held_).substr(0, end), parts);
  held_.erase(0, end);
  if (!closed) return false;
  literal_ = format_.close;
  after_literal_ = State::BetweenCalls;
  state_ = literal_.empty() ? State::BetweenCalls : State::Literal;
  return true;
}

bool AnswerParser::between_calls() {
  const std::string next = std::string(format_.next) + std::string(format_.open);
  if (!format_.next.empty()) {
    if (held_.starts_with(next)) return expect(next, State::Name);
    if (next.starts_with(held_)) return false;
  }
  return format_.end.empty() ? give_up() : expect(format_.end, State::Rest);
}

}  // namespace lockstep::constrain
