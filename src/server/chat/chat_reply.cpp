#include "server/chat/chat_reply.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/identifiers.h"
#include "constrain/answer_parser.h"
#include "server/conversation/answer_items.h"
#include "server/conversation/call_id.h"
#include "server/event_stream.h"
#include "server/json_reply.h"
#include "server/logprobs_json.h"

namespace lockstep::server {

namespace {

using constrain::AnswerPart;
using Parts = std::vector<AnswerPart>;

// What both kinds of reply say alike.
class ChatFormat {
 public:
  ChatFormat(const ChatRequest& request, ChatReplyHead head, const text::Tokenizer& tokenizer,
             const constrain::CallFormat& calls)
      : head_(std::move(head)),
        tokenizer_(tokenizer),
        calls_(calls),
        rules_(request.output.rules),
        old_functions_(request.output.old_functions),
        with_logprobs_(request.generation.top_logprobs.has_value()),
        id_("chatcmpl-" + new_uuid()),
        created_(unix_seconds()) {}

  ReplyJson object(const char* kind) const {
    ReplyJson json;
    json["id"] = id_;
    json["object"] = kind;
    json["created"] = created_;
    json["model"] = head_.model;
    return json;
  }

  ReplyJson groq() const { return {{"id", head_.request_id}, {"seed", static_cast<int64_t>(head_.seed)}}; }

  // Null where they were not asked for.
  ReplyJson logprobs(const std::vector<engine::TokenLogprob>& logprobs) const {
    return with_logprobs_ ? logprobs_json(logprobs, tokenizer_) : nullptr;
  }

  const ChatReplyHead& head() const { return head_; }
  constrain::AnswerParser parser() const { return {calls_, rules_.value_or(constrain::AnswerRules{})}; }
  AnswerItems items() const { return {calls_, rules_}; }
  bool old_functions() const { return old_functions_; }
  // An answer may have text.
  bool has_content() const { return !rules_ || rules_->content != constrain::ContentKind::Absent; }

  ReplyJson finish_reason(const Answer& answer, size_t calls) const {
    const engine::FinishReason reason = answer.last->reason;
    if (calls == 0 || reason != engine::FinishReason::Stop) return engine::finish_reason_name(reason);
    return old_functions_ ? "function_call" : "tool_calls";
  }

 private:
  const ChatReplyHead head_;
  const text::Tokenizer& tokenizer_;
  const constrain::CallFormat& calls_;
  const std::optional<constrain::AnswerRules> rules_;
  const bool old_functions_;
  const bool with_logprobs_;
  const std::string id_;
  const int64_t created_;
};

// Everything at once, when it is there.
class WholeChatReply : public WholeAnswersReply {
 public:
  WholeChatReply(ChatFormat format, std::unique_ptr<Answers> answers)
      : WholeAnswersReply(std::move(answers)), format_(std::move(format)) {}

 private:
  ReplyJson whole() override {
    ReplyJson json = format_.object("chat.completion");
    json["choices"] = ReplyJson::array();
    for (const Answer& answer : answers().list()) {
      ReplyJson item;
      item["index"] = json["choices"].size();
      AnswerItems items = format_.items();
      items.push(answer.text, true);
      item["message"] = message(items);
      item["logprobs"] = format_.logprobs(answer.logprobs);
      item["finish_reason"] = format_.finish_reason(answer, items.calls());
      json["choices"].push_back(std::move(item));
    }
    json["usage"] = usage_json(answers().usage());
    json["system_fingerprint"] = format_.head().fingerprint;
    json["x_groq"] = format_.groq();
    json["service_tier"] = format_.head().service_tier;
    return json;
  }

  ReplyJson message(const AnswerItems& items) const {
    ReplyJson json = {{"role", "assistant"}, {"content", nullptr}};
    if (const std::optional<std::string> text = items.text()) json["content"] = *text;
    ReplyJson calls;
    for (const AnswerItem& item : items.list()) {
      if (!item.is_call) continue;
      calls.push_back({{"id", new_call_id()},
                       {"type", "function"},
                       {"function", {{"name", item.name}, {"arguments", item.text}}}});
    }
    if (calls.is_null()) return json;
    if (format_.old_functions()) {
      json["function_call"] = calls[0]["function"];
    } else {
      json["tool_calls"] = std::move(calls);
    }
    return json;
  }

  const ChatFormat format_;
};

// A chunk for the role, chunks of text, one that ends a choice, "[DONE]". What came while an earlier piece
// was still being written goes into one chunk.
class StreamedChatReply : public EventStreamReply {
 public:
  StreamedChatReply(ChatFormat format, std::unique_ptr<Answers> answers, const StreamFields& wanted)
      : EventStreamReply(std::move(answers)), format_(std::move(format)), wanted_(wanted) {
    for (size_t i = 0; i < EventStreamReply::answers().list().size(); ++i) {
      choices_.push_back({.parser = format_.parser()});
    }
    ReplyJson chunk = format_.object("chat.completion.chunk");
    chunk["system_fingerprint"] = format_.head().fingerprint;
    chunk_begin_ = to_text(chunk);
    chunk_begin_.back() = ',';  // instead of the object's end
  }

 protected:
  void append_news(bool finished, std::string& body) override {
    for (size_t i = 0; i < choices_.size(); ++i) append_news_of(i, finished, body);
    if (finished) append_end(body);
  }

 private:
  struct Choice {
    constrain::AnswerParser parser;
    bool begun = false;  // its first chunk was sent
    bool ended = false;  // its last one was
  };

  void append_news_of(size_t index, bool finished, std::string& body) {
    Choice& choice = choices_[index];
    Answer& answer = answers().list()[index];
    const bool news = !answer.text.empty() || !answer.logprobs.empty();
    if (choice.ended || (!news && !answer.last)) return;
    if (!choice.begun) {
      choice.begun = true;
      const ReplyJson content = format_.has_content() ? ReplyJson("") : ReplyJson();
      append_chunk(index, {{"role", "assistant"}, {"content", content}}, nullptr, nullptr, body,
                   format_.groq());
    }
    append_parts(index, body);
    // The last choice's end tells the usage, and so waits until that is recorded.
    const bool is_last = std::all_of(choices_.begin(), choices_.end(),
                                     [&](const Choice& one) { return &one == &choice || one.ended; });
    if (!answer.last || (is_last && !finished)) return;
    choice.ended = true;
    ReplyJson groq = format_.groq();
    if (is_last) groq["usage"] = usage_json(answers().usage());
    append_chunk(index, ReplyJson::object(), take_logprobs(answer),
                 format_.finish_reason(answer, choice.parser.calls()), body, std::move(groq));
  }

  // A chunk for each part of the new text. Log-probabilities wait for one.
  void append_parts(size_t index, std::string& body) {
    Choice& choice = choices_[index];
    Answer& answer = answers().list()[index];
    uint32_t calls = choice.parser.calls();
    Parts parts;
    choice.parser.push(answer.text, parts);
    answer.text.clear();
    if (answer.last) choice.parser.finish(parts);
    for (const AnswerPart& part : parts) {
      if (part.kind == AnswerPart::Kind::Call) ++calls;
      append_chunk(index, delta(part, calls), take_logprobs(answer), nullptr, body);
    }
  }

  // `calls`: so far, the part's among them.
  ReplyJson delta(const AnswerPart& part, uint32_t calls) const {
    if (part.kind == AnswerPart::Kind::Content) return {{"content", part.text}};
    const bool begins = part.kind == AnswerPart::Kind::Call;
    ReplyJson function;
    if (begins) function["name"] = part.text;
    function["arguments"] = begins ? "" : part.text;
    if (format_.old_functions()) return {{"function_call", std::move(function)}};
    ReplyJson call = {{"index", calls - 1}};
    if (begins) {
      call["id"] = new_call_id();
      call["type"] = "function";
    }
    call["function"] = std::move(function);
    return {{"tool_calls", ReplyJson::array({std::move(call)})}};
  }

  // Null where there are none.
  ReplyJson take_logprobs(Answer& answer) const {
    const auto logprobs = std::exchange(answer.logprobs, {});
    return logprobs.empty() ? ReplyJson() : format_.logprobs(logprobs);
  }

  void append_chunk(size_t index, ReplyJson delta, ReplyJson logprobs, ReplyJson finish_reason,
                    std::string& body, ReplyJson groq = nullptr) {
    ReplyJson choice;
    choice["index"] = index;
    choice["delta"] = std::move(delta);
    choice["logprobs"] = std::move(logprobs);
    choice["finish_reason"] = std::move(finish_reason);
    ReplyJson json;
    json["choices"].push_back(std::move(choice));
    if (wanted_.usage_always) json["usage"] = token_usage_json(answers().usage());
    if (!groq.is_null()) {
      if (groq.contains("usage")) json["usage"] = ReplyJson(groq["usage"]);
      json["x_groq"] = std::move(groq);
    }
    append_rest(json, body);
  }

  void append_end(std::string& body) {
    if (wanted_.usage_at_end) {
      ReplyJson json;
      json["choices"] = ReplyJson::array();
      json["usage"] = usage_json(answers().usage());
      append_rest(json, body);
    }
    append_event("[DONE]", body);
  }

  // A chunk's fields after those that all chunks begin with.
  void append_rest(const ReplyJson& json, std::string& body) const {
    append_event(chunk_begin_ + to_text(json).substr(1), body);
  }

  const ChatFormat format_;
  const StreamFields wanted_;
  std::vector<Choice> choices_;
  std::string chunk_begin_;  // what all chunks begin with, up to a comma
};

}  // namespace

std::unique_ptr<http::Reply> make_chat_reply(const ChatRequest& request, ChatReplyHead head,
                                             std::unique_ptr<Answers> answers,
                                             const text::Tokenizer& tokenizer,
                                             const constrain::CallFormat& calls) {
  ChatFormat format(request, std::move(head), tokenizer, calls);
  if (!request.stream.stream) {
    return std::make_unique<WholeChatReply>(std::move(format), std::move(answers));
  }
  return std::make_unique<StreamedChatReply>(std::move(format), std::move(answers), request.stream);
}

}  // namespace lockstep::server
