#include "server/conversation/answer_items.h"

#include <algorithm>
#include <utility>

namespace lockstep::server {

using constrain::AnswerPart;
using constrain::AnswerRules;

AnswerItems::AnswerItems(const constrain::CallFormat& format, const std::optional<AnswerRules>& rules)
    : parser_(format, rules.value_or(AnswerRules{})),
      has_text_(!rules || rules->content != constrain::ContentKind::Absent) {}

void AnswerItems::push(std::string_view text, bool last) {
  std::vector<AnswerPart> parts;
  parser_.push(text, parts);
  if (last) parser_.finish(parts);
  for (const AnswerPart& part : parts) {
    switch (part.kind) {
      case AnswerPart::Kind::Content:
        add_text(part.text);
        break;
      case AnswerPart::Kind::Call:
        blanks_.clear();
        items_.push_back({.is_call = true, .name = part.text});
        break;
      case AnswerPart::Kind::Arguments:
        items_.back().text += part.text;
        break;
    }
  }
  if (last && items_.empty() && has_text_) items_.push_back({.text = std::exchange(blanks_, {})});
}

void AnswerItems::add_text(const std::string& text) {
  if (!items_.empty() && !items_.back().is_call) {
    items_.back().text += text;
    return;
  }
  blanks_ += text;
  if (blanks_.find_first_not_of(" \n") == std::string::npos) return;
  items_.push_back({.text = std::exchange(blanks_, {})});
}

size_t AnswerItems::calls() const {
  return std::count_if(items_.begin(), items_.end(), [](const AnswerItem& item) { return item.is_call; });
}

std::optional<std::string> AnswerItems::text() const {
  std::optional<std::string> joined;
  for (const AnswerItem& item : items_) {
    if (!item.is_call) joined = joined.value_or("") + item.text;
  }
  return joined;
}

}  // namespace lockstep::server
