#include "server/completions/completion_reply.h"

#include <algorithm>
#include <utility>

#include "base/identifiers.h"
#include "server/completions/token_texts.h"
#include "server/event_stream.h"
#include "server/json_reply.h"

namespace lockstep::server {

namespace {

// What both kinds of reply say alike.
class CompletionFormat {
 public:
  CompletionFormat(const CompletionRequest& request, CompletionReplyHead head,
                   const text::Tokenizer& tokenizer)
      : head_(std::move(head)),
        with_logprobs_(request.generation.top_logprobs.has_value()),
        token_texts_(head_.echoes.size(), TokenTexts(tokenizer)),
        id_("cmpl-" + new_uuid()),
        created_(unix_seconds()) {}

  ReplyJson object() const {
    ReplyJson json;
    json["id"] = id_;
    json["object"] = "text_completion";
    json["created"] = created_;
    json["model"] = head_.model;
    json["system_fingerprint"] = head_.fingerprint;
    json["choices"] = ReplyJson::array();
    return json;
  }

  ReplyJson groq() const { return {{"id", head_.request_id}, {"seed", static_cast<int64_t>(head_.seed)}}; }

  // A choice with what is new of its answer, which it takes; the first time the echo is before it.
  ReplyJson choice(size_t index, Answer& answer) {
    const Echo echo = std::exchange(head_.echoes[index], {});
    ReplyJson json;
    json["index"] = index;
    json["text"] = echo.text + std::exchange(answer.text, {});
    json["logprobs"] = nullptr;
    if (with_logprobs_) {
      if (!echo.tokens.empty()) token_texts_[index].begin_with(echo.text, echo.tokens);
      json["logprobs"] = token_texts_[index].next(std::exchange(answer.logprobs, {}));
    }
    json["finish_reason"] = nullptr;
    if (answer.last) json["finish_reason"] = engine::finish_reason_name(answer.last->reason);
    return json;
  }

 private:
  CompletionReplyHead head_;
  const bool with_logprobs_;
  std::vector<TokenTexts> token_texts_;  // of each choice
  const std::string id_;
  const int64_t created_;
};

class WholeCompletionReply : public WholeAnswersReply {
 public:
  WholeCompletionReply(CompletionFormat format, std::unique_ptr<Answers> answers)
      : WholeAnswersReply(std::move(answers)), format_(std::move(format)) {}

 private:
  ReplyJson whole() override {
    ReplyJson json = format_.object();
    std::vector<Answer>& list = answers().list();
    for (size_t i = 0; i < list.size(); ++i) json["choices"].push_back(format_.choice(i, list[i]));
    json["usage"] = usage_json(answers().usage());
    json["x_groq"] = format_.groq();
    return json;
  }

  CompletionFormat format_;
};

// A chunk for all that is new of a choice, the last one with its finish_reason; then the usage where it is
// asked for, and "[DONE]". The end of the last choice waits until the request is recorded.
class StreamedCompletionReply : public EventStreamReply {
 public:
  StreamedCompletionReply(CompletionFormat format, std::unique_ptr<Answers> answers,
                          const StreamFields& wanted)
      : EventStreamReply(std::move(answers)),
        format_(std::move(format)),
        wanted_(wanted),
        ended_(EventStreamReply::answers().list().size()) {}

 private:
  void append_news(bool finished, std::string& body) override {
    std::vector<Answer>& list = answers().list();
    for (size_t i = 0; i < list.size(); ++i) {
      if (ended_[i] || (list[i].text.empty() && list[i].logprobs.empty() && !list[i].last)) continue;
      const bool ends = list[i].last.has_value();
      const bool is_last = ends && std::count(ended_.begin(), ended_.end(), false) == 1;
      if (is_last && !finished) continue;
      ended_[i] = ends;
      ReplyJson json = format_.object();
      json["choices"].push_back(format_.choice(i, list[i]));
      if (is_last) json["x_groq"] = format_.groq();
      if (wanted_.usage_always) json["usage"] = token_usage_json(answers().usage());
      append_event(to_text(json), body);
    }
    if (!finished) return;
    if (wanted_.usage_at_end) {
      ReplyJson json = format_.object();
      json["usage"] = usage_json(answers().usage());
      json["x_groq"] = format_.groq();
      append_event(to_text(json), body);
    }
    append_event("[DONE]", body);
  }

  CompletionFormat format_;
  const StreamFields wanted_;
  std::vector<bool> ended_;  // choices whose last chunk was sent
};

}  // namespace

std::unique_ptr<http::Reply> make_completion_reply(const CompletionRequest& request, CompletionReplyHead head,
                                                   std::unique_ptr<Answers> answers,
                                                   const text::Tokenizer& tokenizer) {
  CompletionFormat format(request, std::move(head), tokenizer);
  if (!request.stream.stream) {
    return std::make_unique<WholeCompletionReply>(std::move(format), std::move(answers));
  }
  return std::make_unique<StreamedCompletionReply>(std::move(format), std::move(answers), request.stream);
}

}  // namespace lockstep::server
