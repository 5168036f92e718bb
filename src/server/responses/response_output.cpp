#include "server/responses/response_output.h"

#include <iterator>
#include <utility>

#include "base/identifiers.h"
#include "server/conversation/call_id.h"
#include "server/logprobs_json.h"

namespace lockstep::server {

ResponseOutput::ResponseOutput(AnswerItems items, const text::Tokenizer& tokenizer)
    : items_(std::move(items)), tokenizer_(tokenizer) {}

void ResponseOutput::take_news(Answer& answer, bool last) {
  items_.push(std::exchange(answer.text, {}), last);
  std::vector<engine::TokenLogprob> news = std::exchange(answer.logprobs, {});
  std::move(news.begin(), news.end(), std::back_inserter(logprobs_));
  ended_ = last;
  cut_off_ = last && answer.last->reason != engine::FinishReason::Stop;
  while (ids_.size() < size()) {
    const bool is_call = item(ids_.size()).is_call;
    ids_.push_back({(is_call ? "fc_" : "msg_") + new_ulid(), is_call ? new_call_id() : ""});
  }
  if (size() == 0) return;
  while (text_tokens_ < logprobs_.size() && text_bytes_ < item(0).text.size()) {
    text_bytes_ += tokenizer_.token_bytes(logprobs_[text_tokens_++].token).size();
  }
  if (ended_ && size() == 1) text_tokens_ = logprobs_.size();
}

ReplyJson ResponseOutput::begun_json(size_t index) const {
  ReplyJson json = item_json(index, "in_progress");
  if (item(index).is_call) {
    json["arguments"] = "";
  } else {
    json["content"] = ReplyJson::array();
  }
  return json;
}

ReplyJson ResponseOutput::json(size_t index) const {
  ReplyJson json = item_json(index, is_cut_off(index) ? "incomplete" : "completed");
  if (item(index).is_call) {
    json["arguments"] = item(index).text;
  } else {
    json["content"] = ReplyJson::array({text_part(item(index).text, logprobs(index, 0))});
  }
  return json;
}

ReplyJson ResponseOutput::json() const {
  ReplyJson list = ReplyJson::array();
  for (size_t i = 0; i < size(); ++i) list.push_back(json(i));
  return list;
}

ReplyJson ResponseOutput::logprobs(size_t index, size_t first) const {
  if (index != 0 || item(index).is_call) return ReplyJson::array();
  const auto begin = logprobs_.begin();
  return logprobs_json({begin + static_cast<ptrdiff_t>(first), begin + static_cast<ptrdiff_t>(text_tokens_)},
                       tokenizer_)["content"];
}

ReplyJson ResponseOutput::text_part(const std::string& text, ReplyJson logprobs) {
  ReplyJson json;
  json["type"] = "output_text";
  json["text"] = text;
  json["annotations"] = ReplyJson::array();
  json["logprobs"] = std::move(logprobs);
  return json;
}

ReplyJson ResponseOutput::item_json(size_t index, const char* status) const {
  const bool is_call = item(index).is_call;
  ReplyJson json;
  json["type"] = is_call ? "function_call" : "message";
  json["id"] = ids_[index].item;
  json["status"] = status;
  if (is_call) {
    json["call_id"] = ids_[index].call;
    json["name"] = item(index).name;
  } else {
    json["role"] = "assistant";
  }
  return json;
}

bool ResponseOutput::is_cut_off(size_t index) const {
  if (!cut_off_ || index + 1 < size()) return false;
  return !item(index).is_call || !ReplyJson::accept(item(index).text);
}

}  // namespace lockstep::server
