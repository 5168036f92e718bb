#include "server/responses/response_reply.h"

#include <utility>

#include "base/identifiers.h"
#include "server/event_stream.h"
#include "server/json_reply.h"
#include "server/logprobs_json.h"

namespace lockstep::server {

namespace {

// What both kinds of reply say alike.
class ResponseFormat {
 public:
  ResponseFormat(ResponseRequest request, bool with_metrics, const text::Tokenizer& tokenizer)
      : request_(std::move(request)),
        with_metrics_(with_metrics),
        tokenizer_(tokenizer),
        id_("resp_" + new_ulid()),
        message_id_("msg_" + new_ulid()),
        created_(unix_seconds()) {}

  const std::string& message_id() const { return message_id_; }

  // The response before anything is known of its answer.
  ReplyJson begun() const { return response("in_progress", ReplyJson::array()); }

  // The response with all that the answer has become.
  ReplyJson ended(const Answer& answer, const std::string& text, ReplyJson logprobs,
                  const Usage& usage) const {
    ReplyJson json = response(status_of(answer), ReplyJson::array());
    json["output"].push_back(message(status_of(answer), text_part(text, std::move(logprobs))));
    if (is_cut_off(answer)) json["incomplete_details"]["reason"] = "max_output_tokens";
    json["usage"] = usage_of(usage);
    if (with_metrics_) {
      json["metadata"]["completion_time"] = fmt::format("{}", usage.completion_s);
      json["metadata"]["prompt_time"] = fmt::format("{}", usage.prompt_s);
      json["metadata"]["queue_time"] = fmt::format("{}", usage.queue_s);
      json["metadata"]["total_time"] = fmt::format("{}", usage.prompt_s + usage.completion_s);
    }
    return json;
  }

  ReplyJson failed(const ApiError& error) const {
    ReplyJson json = response("failed", ReplyJson::array());
    json["error"] = {{"code", "server_error"}, {"message", error.what()}};
    return json;
  }

  // The only item of the output.
  ReplyJson message(const char* status, ReplyJson part) const {
    ReplyJson json;
    json["type"] = "message";
    json["id"] = message_id_;
    json["status"] = status;
    json["role"] = "assistant";
    json["content"] = ReplyJson::array();
    if (!part.is_null()) json["content"].push_back(std::move(part));
    return json;
  }

  static const char* status_of(const Answer& answer) {
    return is_cut_off(answer) ? "incomplete" : "completed";
  }

  static ReplyJson text_part(const std::string& text, ReplyJson logprobs) {
    ReplyJson json;
    json["type"] = "output_text";
    json["text"] = text;
    json["annotations"] = ReplyJson::array();
    json["logprobs"] = std::move(logprobs);
    return json;
  }

  // An array, empty where they were not asked for.
  ReplyJson logprobs(const std::vector<engine::TokenLogprob>& logprobs) const {
    return logprobs_json(logprobs, tokenizer_)["content"];
  }

 private:
  static bool is_cut_off(const Answer& answer) { return answer.last->reason != engine::FinishReason::Stop; }

  static ReplyJson usage_of(const Usage& usage) {
    ReplyJson json;
    json["input_tokens"] = usage.prompt_tokens;
    json["input_tokens_details"] = {
        {"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", 0}, {"reasoning_tokens", 0}};
    json["output_tokens"] = usage.completion_tokens;
    json["output_tokens_details"] = {{"cached_tokens", 0}, {"reasoning_tokens", 0}};
    json["total_tokens"] = usage.total_tokens();
    return json;
  }

  template <class T>
  static ReplyJson or_null(const std::optional<T>& value) {
    return value ? ReplyJson(*value) : ReplyJson();
  }

  ReplyJson response(const char* status, ReplyJson output) const {
    const engine::Request& generation = request_.generation;
    ReplyJson json;
    json["id"] = id_;
    json["object"] = "response";
    json["status"] = status;
    json["created_at"] = created_;
    json["output"] = std::move(output);
    json["previous_response_id"] = nullptr;
    json["model"] = request_.model;
    json["reasoning"] = {{"effort", nullptr}};
    json["max_output_tokens"] = nullptr;
    if (generation.tokens_max != 0) json["max_output_tokens"] = generation.tokens_max;
    json["instructions"] = or_null(request_.instructions);
    json["text"] = {{"format", {{"type", "text"}}}};
    json["tools"] = ReplyJson::array();
    json["tool_choice"] = "auto";
    json["truncation"] = "disabled";
    json["metadata"] = ReplyJson::object();
    for (const auto& [key, value] : request_.metadata.items()) json["metadata"][key] = value;
    json["temperature"] = generation.sampling.temperature;
    json["top_p"] = generation.sampling.top_p;
    json["user"] = or_null(request_.user);
    json["service_tier"] = request_.service_tier.empty() ? "default" : request_.service_tier;
    json["background"] = false;
    json["error"] = nullptr;
    json["incomplete_details"] = nullptr;
    json["usage"] = nullptr;
    json["parallel_tool_calls"] = request_.parallel_tool_calls;
    json["store"] = false;
    json["top_logprobs"] = generation.top_logprobs.value_or(0);
    json["max_tool_calls"] = nullptr;
    return json;
  }

  const ResponseRequest request_;
  const bool with_metrics_;
  const text::Tokenizer& tokenizer_;
  const std::string id_, message_id_;
  const int64_t created_;
};

class WholeResponseReply : public WholeAnswersReply {
 public:
  WholeResponseReply(ResponseFormat format, std::unique_ptr<Answers> answers)
      : WholeAnswersReply(std::move(answers)), format_(std::move(format)) {}

 private:
  ReplyJson whole() override {
    const Answer& answer = answers().list().front();
    return format_.ended(answer, answer.text, format_.logprobs(answer.logprobs), answers().usage());
  }

  const ResponseFormat format_;
};

// The response, its message and its text begin; pieces of the text; all three end.
class StreamedResponseReply : public EventStreamReply {
 public:
  StreamedResponseReply(ResponseFormat format, std::unique_ptr<Answers> answers)
      : EventStreamReply(std::move(answers)), format_(std::move(format)) {}

 private:
  void append_news(bool finished, std::string& body) override {
    Answer& answer = answers().list().front();
    const bool news = !answer.text.empty() || !answer.logprobs.empty();
    if (!begun_ && (news || finished)) append_begin(body);
    if (news) append_delta(answer, body);
    if (finished) append_end(answer, body);
  }

  void append_error(const ApiError& error, std::string& body) override {
    append("response.failed", {{"response", format_.failed(error)}}, body);
  }

  void append_begin(std::string& body) {
    begun_ = true;
    append("response.created", {{"response", format_.begun()}}, body);
    append("response.in_progress", {{"response", format_.begun()}}, body);
    append("response.output_item.added",
           {{"output_index", 0}, {"item", format_.message("in_progress", nullptr)}}, body);
    ReplyJson part = at_text();
    part["part"] = ResponseFormat::text_part("", ReplyJson::array());
    append("response.content_part.added", std::move(part), body);
  }

  void append_delta(Answer& answer, std::string& body) {
    ReplyJson logprobs = format_.logprobs(answer.logprobs);
    ReplyJson delta = at_text();
    delta["delta"] = answer.text;
    delta["logprobs"] = logprobs;
    append("response.output_text.delta", std::move(delta), body);
    text_ += std::exchange(answer.text, {});
    answer.logprobs.clear();
    logprobs_.insert(logprobs_.end(), logprobs.begin(), logprobs.end());
  }

  void append_end(const Answer& answer, std::string& body) {
    ReplyJson text = at_text();
    text["text"] = text_;
    text["logprobs"] = logprobs_;
    append("response.output_text.done", std::move(text), body);
    ReplyJson part = at_text();
    part["part"] = ResponseFormat::text_part(text_, logprobs_);
    append("response.content_part.done", part, body);
    const char* status = ResponseFormat::status_of(answer);
    append("response.output_item.done",
           {{"output_index", 0}, {"item", format_.message(status, std::move(part["part"]))}}, body);
    append(fmt::format("response.{}", status),
           {{"response", format_.ended(answer, text_, logprobs_, answers().usage())}}, body);
  }

  ReplyJson at_text() const {
    return {{"item_id", format_.message_id()}, {"output_index", 0}, {"content_index", 0}};
  }

  void append(const std::string& type, ReplyJson rest, std::string& body) {
    ReplyJson json = {{"type", type}, {"sequence_number", sequence_number_++}};
    json.update(rest);
    append_event(type, to_text(json), body);
  }

  const ResponseFormat format_;
  bool begun_ = false;
  uint64_t sequence_number_ = 0;
  std::string text_;  // so far, as are its log-probabilities
  ReplyJson logprobs_ = ReplyJson::array();
};

}  // namespace

std::unique_ptr<http::Reply> make_response_reply(ResponseRequest request, bool with_metrics,
                                                 std::unique_ptr<Answers> answers,
                                                 const text::Tokenizer& tokenizer) {
  const bool stream = request.stream;
  ResponseFormat format(std::move(request), with_metrics, tokenizer);
  if (!stream) return std::make_unique<WholeResponseReply>(std::move(format), std::move(answers));
  return std::make_unique<StreamedResponseReply>(std::move(format), std::move(answers));
}

}  // namespace lockstep::server
