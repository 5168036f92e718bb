#include "server/ollama/ollama_reply.h"

#include <fmt/chrono.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "server/answers_reply.h"
#include "server/conversation/answer_items.h"
#include "server/json_reply.h"
#include "server/logprobs_json.h"

namespace lockstep::server {

namespace {

int64_t nanoseconds(double seconds) {
  return std::llround(seconds * 1e9);
}

// What all objects begin with.
ReplyJson begin(const OllamaRequest& request, const std::string& text) {
  ReplyJson json;
  json["model"] = request.model;
  json["created_at"] = ollama_time();
  if (request.is_chat) {
    json["message"] = {{"role", "assistant"}, {"content", text}};
  } else {
    json["response"] = text;
  }
  return json;
}

void add_prompt_usage(const Usage& usage, ReplyJson& json) {
  json["total_duration"] = nanoseconds(usage.queue_s + usage.prompt_s + usage.completion_s);
  json["load_duration"] = 0;
  json["prompt_eval_count"] = usage.prompt_tokens;
}

// A line for what is new, again and again, and one for the end; or one object with everything. Calls come
// whole.
class OllamaReply : public AnswersReply {
 public:
  OllamaReply(const OllamaRequest& request, std::unique_ptr<Answers> answers,
              const text::Tokenizer& tokenizer, const constrain::CallFormat& calls)
      : AnswersReply(std::move(answers),
                     {200, request.stream ? "application/x-ndjson" : "application/json", {}}),
        request_(request),
        tokenizer_(tokenizer),
        items_(calls, request.output.rules) {}

 private:
  // What the client has not been told yet.
  struct News {
    std::string text;
    ReplyJson calls;  // null: none
    ReplyJson logprobs;
  };

  void append_news(bool finished, std::string& body) override {
    if (!request_.stream && !finished) return;
    News news = take_news(finished);
    if (request_.stream) {
      const bool any = !news.text.empty() || !news.calls.is_null() || !news.logprobs.is_null();
      if (any) append_line(part(std::exchange(news, {}), false), body);
    }
    if (finished) append_line(last_part(std::move(news)), body);
  }

  void append_error(const ApiError& error, std::string& body) override {
    append_line({{"error", error.what()}}, body);
  }

  std::unique_ptr<http::Reply> refusal(const ApiError& error) const override {
    return ollama_error_reply(error);
  }

  News take_news(bool finished) {
    Answer& answer = AnswersReply::answers().list().front();
    News news;
    items_.push(std::exchange(answer.text, {}), finished);
    const std::vector<AnswerItem>& list = items_.list();
    for (; item_ < list.size(); ++item_) {
      const bool closed = finished || item_ + 1 < list.size();
      if (list[item_].is_call) {
        if (!closed) break;
        add_call(list[item_], news.calls);
        continue;
      }
      news.text += list[item_].text.substr(std::exchange(told_bytes_, list[item_].text.size()));
      if (!closed) break;
      told_bytes_ = 0;
    }
    const std::vector<engine::TokenLogprob> logprobs = std::exchange(answer.logprobs, {});
    if (!logprobs.empty()) news.logprobs = logprobs_json(logprobs, tokenizer_)["content"];
    return news;
  }

  // One that was cut off has no arguments to be told.
  static void add_call(const AnswerItem& call, ReplyJson& calls) {
    ReplyJson arguments = ReplyJson::parse(call.text, nullptr, false);
    if (!arguments.is_object()) return;
    calls.push_back({{"function", {{"name", call.name}, {"arguments", std::move(arguments)}}}});
  }

  ReplyJson part(News news, bool done) const {
    ReplyJson json = begin(request_, news.text);
    if (!news.calls.is_null()) json["message"]["tool_calls"] = std::move(news.calls);
    json["done"] = done;
    if (!news.logprobs.is_null()) json["logprobs"] = std::move(news.logprobs);
    return json;
  }

  ReplyJson last_part(News news) {
    ReplyJson json = part(std::move(news), true);
    const Usage usage = answers().usage();
    json["done_reason"] = engine::finish_reason_name(answers().list().front().last->reason);
    add_prompt_usage(usage, json);
    json["prompt_eval_duration"] = nanoseconds(usage.prompt_s);
    json["eval_count"] = usage.completion_tokens;
    json["eval_duration"] = nanoseconds(usage.completion_s);
    return json;
  }

  static void append_line(const ReplyJson& json, std::string& body) {
    body += to_text(json);
    body += '\n';
  }

  const OllamaRequest request_;
  const text::Tokenizer& tokenizer_;
  AnswerItems items_;
  // The item that is being told, and how much of it was:
  size_t item_ = 0, told_bytes_ = 0;
};

class OllamaEmbedReply : public WholeAnswersReply {
 public:
  OllamaEmbedReply(const OllamaEmbedRequest& request, std::unique_ptr<Answers> answers)
      : WholeAnswersReply(std::move(answers)), model_(request.model) {}

 private:
  ReplyJson whole() override {
    ReplyJson json;
    json["model"] = model_;
    json["embeddings"] = ReplyJson::array();
    for (const Answer& answer : answers().list()) json["embeddings"].push_back(answer.last->embedding);
    add_prompt_usage(answers().usage(), json);
    return json;
  }

  std::unique_ptr<http::Reply> refusal(const ApiError& error) const override {
    return ollama_error_reply(error);
  }

  const std::string model_;
};

}  // namespace

std::unique_ptr<http::Reply> make_ollama_reply(const OllamaRequest& request, std::unique_ptr<Answers> answers,
                                               const text::Tokenizer& tokenizer,
                                               const constrain::CallFormat& calls) {
  return std::make_unique<OllamaReply>(request, std::move(answers), tokenizer, calls);
}

std::unique_ptr<http::Reply> make_ollama_embed_reply(const OllamaEmbedRequest& request,
                                                     std::unique_ptr<Answers> answers) {
  return std::make_unique<OllamaEmbedReply>(request, std::move(answers));
}

std::unique_ptr<http::Reply> make_ollama_loaded_reply(const OllamaRequest& request) {
  ReplyJson json = begin(request, "");
  json["done"] = true;
  json["done_reason"] = "load";
  return json_reply(json);
}

std::unique_ptr<http::Reply> ollama_error_reply(const ApiError& error) {
  const http::Piece piece = error.reply()->next();
  return std::make_unique<http::WholeReply>(*piece.head, to_text({{"error", error.what()}}));
}

std::string ollama_time() {
  using std::chrono::microseconds;
  const auto now = std::chrono::floor<microseconds>(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", std::chrono::floor<std::chrono::seconds>(now),
                     now.time_since_epoch().count() % microseconds::period::den);
}

}  // namespace lockstep::server
