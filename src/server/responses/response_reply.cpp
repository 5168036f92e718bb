#include "server/responses/response_reply.h"

#include <utility>

#include "base/identifiers.h"
#include "server/event_stream.h"
#include "server/json_reply.h"
#include "server/responses/response_output.h"

namespace lockstep::server {

namespace {

// What both kinds of reply say alike.
class ResponseFormat {
 public:
  ResponseFormat(ResponseRequest request, bool with_metrics, const text::Tokenizer& tokenizer,
                 const constrain::CallFormat& calls)
      : request_(std::move(request)),
        with_metrics_(with_metrics),
        tokenizer_(tokenizer),
        calls_(calls),
        id_("resp_" + new_ulid()),
        created_(unix_seconds()) {}

  ResponseOutput output() const { return {{calls_, request_.output.rules}, tokenizer_}; }

  // The response before anything is known of its answer.
  ReplyJson begun() const { return response("in_progress", ReplyJson::array()); }

  // The response with all that the answer has become.
  ReplyJson ended(const Answer& answer, ReplyJson output, const Usage& usage) const {
    ReplyJson json = response(is_cut_off(answer) ? "incomplete" : "completed", std::move(output));
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
    json["text"] = {{"format", request_.format}};
    json["tools"] = request_.tools;
    json["tool_choice"] = request_.tool_choice;
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
  const constrain::CallFormat& calls_;
  const std::string id_;
  const int64_t created_;
};

class WholeResponseReply : public WholeAnswersReply {
 public:
  WholeResponseReply(ResponseFormat format, std::unique_ptr<Answers> answers)
      : WholeAnswersReply(std::move(answers)), format_(std::move(format)) {}

 private:
  ReplyJson whole() override {
    Answer& answer = answers().list().front();
    ResponseOutput output = format_.output();
    output.take_news(answer, true);
    return format_.ended(answer, output.json(), answers().usage());
  }

  const ResponseFormat format_;
};

// The response begins; each item of its output begins, comes in pieces and ends; the response ends.
class StreamedResponseReply : public EventStreamReply {
 public:
  StreamedResponseReply(ResponseFormat format, std::unique_ptr<Answers> answers)
      : EventStreamReply(std::move(answers)), format_(std::move(format)), output_(format_.output()) {}

 private:
  void append_news(bool finished, std::string& body) override {
    Answer& answer = answers().list().front();
    if (answer.text.empty() && answer.logprobs.empty() && !finished) return;
    if (!begun_) append_begin(body);
    output_.take_news(answer, finished);
    while (item_ < output_.size()) {
      append_item_news(body);
      if (!output_.is_closed(item_)) break;
      append_item_end(body);
    }
    if (!finished) return;
    const ReplyJson ended = format_.ended(answer, output_.json(), answers().usage());
    append(fmt::format("response.{}", ended["status"].get<std::string>()), {{"response", ended}}, body);
  }

  void append_error(const ApiError& error, std::string& body) override {
    append("response.failed", {{"response", format_.failed(error)}}, body);
  }

  void append_begin(std::string& body) {
    begun_ = true;
    append("response.created", {{"response", format_.begun()}}, body);
    append("response.in_progress", {{"response", format_.begun()}}, body);
  }

  void append_item_news(std::string& body) {
    const AnswerItem& item = output_.item(item_);
    if (!item_begun_) {
      item_begun_ = true;
      append("response.output_item.added", {{"output_index", item_}, {"item", output_.begun_json(item_)}},
             body);
      if (!item.is_call) {
        ReplyJson part = at_item();
        part["part"] = ResponseOutput::text_part("", ReplyJson::array());
        append("response.content_part.added", std::move(part), body);
      }
    }
    ReplyJson delta = at_item();
    delta["delta"] = item.text.substr(sent_bytes_);
    bool news = sent_bytes_ < item.text.size();
    if (!item.is_call) {
      delta["logprobs"] = output_.logprobs(item_, sent_logprobs_);
      sent_logprobs_ += delta["logprobs"].size();
      news = news || !delta["logprobs"].empty();
    }
    sent_bytes_ = item.text.size();
    if (news) append(item.is_call ? kCallDelta : kTextDelta, std::move(delta), body);
  }

  // The item has come whole; what comes then is of the next.
  void append_item_end(std::string& body) {
    const AnswerItem& item = output_.item(item_);
    const ReplyJson whole = output_.json(item_);
    ReplyJson end = at_item();
    if (item.is_call) {
      end["arguments"] = item.text;
      append("response.function_call_arguments.done", std::move(end), body);
    } else {
      const ReplyJson& part = whole["content"][0];
      ReplyJson text = end;
      text["text"] = item.text;
      text["logprobs"] = part["logprobs"];
      append("response.output_text.done", std::move(text), body);
      end["part"] = part;
      append("response.content_part.done", std::move(end), body);
    }
    append("response.output_item.done", {{"output_index", item_}, {"item", whole}}, body);
    ++item_;
    item_begun_ = false;
    sent_bytes_ = sent_logprobs_ = 0;
  }

  // What the events within an item begin with.
  ReplyJson at_item() const {
    ReplyJson json = {{"item_id", output_.id(item_)}, {"output_index", item_}};
    if (!output_.item(item_).is_call) json["content_index"] = 0;
    return json;
  }

  void append(const std::string& type, ReplyJson rest, std::string& body) {
    ReplyJson json = {{"type", type}, {"sequence_number", sequence_number_++}};
    json.update(rest);
    append_event(type, to_text(json), body);
  }

  static constexpr const char* kTextDelta = "response.output_text.delta";
  static constexpr const char* kCallDelta = "response.function_call_arguments.delta";

  const ResponseFormat format_;
  ResponseOutput output_;
  bool begun_ = false;
  uint64_t sequence_number_ = 0;
  // The item that is being sent, and how much of it was:
  size_t item_ = 0;
  bool item_begun_ = false;
  size_t sent_bytes_ = 0, sent_logprobs_ = 0;
};

}  // namespace

std::unique_ptr<http::Reply> make_response_reply(ResponseRequest request, bool with_metrics,
                                                 std::unique_ptr<Answers> answers,
                                                 const text::Tokenizer& tokenizer,
                                                 const constrain::CallFormat& calls) {
  const bool stream = request.stream;
  ResponseFormat format(std::move(request), with_metrics, tokenizer, calls);
  if (!stream) return std::make_unique<WholeResponseReply>(std::move(format), std::move(answers));
  return std::make_unique<StreamedResponseReply>(std::move(format), std::move(answers));
}

}  // namespace lockstep::server
