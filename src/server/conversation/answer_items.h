// An answer taken apart into texts and calls.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "constrain/answer_parser.h"

namespace lockstep::server {

struct AnswerItem {
  bool is_call = false;
  std::string name = {};  // of a call's tool
  std::string text = {};  // or a call's arguments: a JSON object, where it was not cut off
};

// THREAD: one at a time.
class AnswerItems {
 public:
  // `rules`: the answer's; none for any text. The format must outlive this.
  AnswerItems(const constrain::CallFormat& format, const std::optional<constrain::AnswerRules>& rules);

  // More of the answer; `last`: nothing comes after it.
  void push(std::string_view text, bool last);
  // In their order; the last one may grow. Blanks before a call are no text. An answer that is at its end has
  // a text, be it empty, unless it has calls or may have nothing else.
  const std::vector<AnswerItem>& list() const { return items_; }
  size_t calls() const;
  // The texts as one; none where there is none.
  std::optional<std::string> text() const;

 private:
  void add_text(const std::string& text);

  constrain::AnswerParser parser_;
  const bool has_text_;  // the answer may have
  std::string blanks_;   // that a text may begin with
  std::vector<AnswerItem> items_;
};

}  // namespace lockstep::server
