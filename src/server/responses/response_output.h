// The output of a response: messages and calls.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "server/answers.h"
#include "server/conversation/answer_items.h"
#include "server/json_reply.h"
#include "text/tokenizer.h"

namespace lockstep::server {

// Grows with the answer. THREAD: one at a time.
class ResponseOutput {
 public:
  // The tokenizer must outlive this.
  ResponseOutput(AnswerItems items, const text::Tokenizer& tokenizer);

  // Takes what is new of the answer. `last`: it has ended, and nothing more comes.
  void take_news(Answer& answer, bool last);

  size_t size() const { return items_.list().size(); }
  const AnswerItem& item(size_t index) const { return items_.list()[index]; }
  const std::string& id(size_t index) const { return ids_[index].item; }
  bool is_closed(size_t index) const { return index + 1 < size() || ended_; }

  // An item before its text or its arguments.
  ReplyJson begun_json(size_t index) const;
  // An item that is closed, and all of them.
  ReplyJson json(size_t index) const;
  ReplyJson json() const;
  // Of the tokens of a message so far, without the first ones. Those of calls are not told.
  ReplyJson logprobs(size_t index, size_t first) const;

  // A message's content.
  static ReplyJson text_part(const std::string& text, ReplyJson logprobs);

 private:
  struct Ids {
    std::string item, call;
  };
  ReplyJson item_json(size_t index, const char* status) const;
  bool is_cut_off(size_t index) const;

  AnswerItems items_;
  const text::Tokenizer& tokenizer_;
  std::vector<Ids> ids_;                        // by item
  std::vector<engine::TokenLogprob> logprobs_;  // of all tokens
  size_t text_tokens_ = 0, text_bytes_ = 0;     // of them: that begin within the first text; their bytes
  bool ended_ = false, cut_off_ = false;
};

}  // namespace lockstep::server
