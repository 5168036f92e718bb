#include "server/ollama/ollama_reply.h"

#include <fmt/chrono.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "server/answers_reply.h"
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

// A line for what is new, again and again, and one for the end; or one object with everything.
class OllamaReply : public AnswersReply {
 public:
  OllamaReply(const OllamaRequest& request, std::unique_ptr<Answers> answers,
              const text::Tokenizer& tokenizer)
      : AnswersReply(std::move(answers),
                     {200, request.stream ? "application/x-ndjson" : "application/json", {}}),
        request_(request),
        tokenizer_(tokenizer) {}

 private:
  void append_news(bool finished, std::string& body) override {
    Answer& answer = AnswersReply::answers().list().front();
    const bool news = !answer.text.empty() || !answer.logprobs.empty();
    if (request_.stream && news) append_line(part(answer, false), body);
    if (finished) append_line(last_part(answer), body);
  }

  void append_error(const ApiError& error, std::string& body) override {
    append_line({{"error", error.what()}}, body);
  }

  std::unique_ptr<http::Reply> refusal(const ApiError& error) const override {
    return ollama_error_reply(error);
  }

  // What is new of the answer, which it takes.
  ReplyJson part(Answer& answer, bool done) const {
    ReplyJson json = begin(request_, std::exchange(answer.text, {}));
    json["done"] = done;
    const std::vector<engine::TokenLogprob> logprobs = std::exchange(answer.logprobs, {});
    if (!logprobs.empty()) json["logprobs"] = logprobs_json(logprobs, tokenizer_)["content"];
    return json;
  }

  ReplyJson last_part(Answer& answer) {
    ReplyJson json = part(answer, true);
    const Usage usage = answers().usage();
    json["done_reason"] = engine::finish_reason_name(answer.last->reason);
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
                                               const text::Tokenizer& tokenizer) {
  return std::make_unique<OllamaReply>(request, std::move(answers), tokenizer);
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
