#include "server/chat_reply.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "server/api_error.h"
#include "server/identifiers.h"

namespace lockstep::server {

namespace {

using Json = nlohmann::ordered_json;
using engine::Event;

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// One of the request's answers.
struct Choice {
  std::shared_ptr<engine::Ticket> ticket;
  std::string text;  // not sent yet
  std::vector<engine::TokenLogprob> logprobs;
  uint32_t tokens = 0;  // so far
  bool begun = false;   // streams: its first chunk was sent
  bool ended = false;   // streams: its last one was
  std::optional<Event> last;
};

// What both kinds of reply do: take the answers' events and tell what they have cost.
class ChatReply : public HttpReply {
 public:
  ChatReply(ChatReplyHead head, std::vector<std::shared_ptr<engine::Ticket>> answers,
            const text::Tokenizer& tokenizer, bool with_logprobs)
      : head_(std::move(head)),
        tokenizer_(tokenizer),
        with_logprobs_(with_logprobs),
        id_("chatcmpl-" + new_uuid()),
        created_(unix_seconds()) {
    for (std::shared_ptr<engine::Ticket>& ticket : answers)
      choices_.emplace_back().ticket = std::move(ticket);
  }
  ~ChatReply() override {
    for (const Choice& choice : choices_) choice.ticket->cancel();
  }

 protected:
  // Takes the events that are there. Throws an ApiError when an answer failed.
  void take_events() {
    for (Choice& choice : choices_) {
      while (!choice.last) {
        std::optional<Event> event = choice.ticket->poll(std::chrono::milliseconds(0));
        if (!event) break;
        choice.text += event->text;
        choice.tokens = event->answer_tokens_done;
        std::move(event->logprobs.begin(), event->logprobs.end(), std::back_inserter(choice.logprobs));
        if (!event->finished) continue;
        if (event->error) throw ApiError(*event->error);
        if (event->reason == engine::FinishReason::Cancelled) {
          throw ApiError(503, "", "", "the server is stopping; send the request again");
        }
        choice.last = std::move(event);
      }
    }
  }

  bool all_finished() const {
    return std::all_of(choices_.begin(), choices_.end(),
                       [](const Choice& choice) { return choice.last.has_value(); });
  }

  Json object(const char* kind) const {
    Json json;
    json["id"] = id_;
    json["object"] = kind;
    json["created"] = created_;
    json["model"] = head_.model;
    return json;
  }

  Json groq_json() const { return {{"id", head_.request_id}, {"seed", head_.seed}}; }

  // Groq's usage: tokens and the four times in seconds. REQUIRES: all_finished().
  Json usage() const {
    double queue_s = 0, prompt_s = 0, completion_s = 0;
    size_t tokens = 0;
    for (const Choice& choice : choices_) {
      const engine::Timing& timing = choice.last->timing;
      queue_s = std::max(queue_s, timing.queue_s);
      prompt_s = std::max(prompt_s, timing.prefill_s);
      completion_s = std::max(completion_s, timing.decode_s);
      tokens += choice.last->tokens.size();
    }
    Json json;
    json["queue_time"] = queue_s;
    json["prompt_tokens"] = head_.prompt_tokens;
    json["prompt_time"] = prompt_s;
    json["completion_tokens"] = tokens;
    json["completion_time"] = completion_s;
    json["total_tokens"] = head_.prompt_tokens + tokens;
    json["total_time"] = prompt_s + completion_s;
    if (const uint32_t reused = choices_[0].last->prompt_tokens_reused; reused != 0) {
      json["prompt_tokens_details"]["cached_tokens"] = reused;
    }
    return json;
  }

  // The tokens so far.
  Json token_usage() const {
    uint32_t tokens = 0;
    for (const Choice& choice : choices_) tokens += choice.tokens;
    return {{"prompt_tokens", head_.prompt_tokens},
            {"completion_tokens", tokens},
            {"total_tokens", head_.prompt_tokens + tokens}};
  }

  // {"content":[{"token","logprob","bytes","top_logprobs"}]}, or null where they were not asked for.
  Json logprobs_json(const std::vector<engine::TokenLogprob>& logprobs) const {
    if (!with_logprobs_) return nullptr;
    Json content = Json::array();
    for (const engine::TokenLogprob& one : logprobs) {
      Json json = token_json(one.token, one.logprob);
      json["top_logprobs"] = Json::array();
      for (auto [token, logprob] : one.top) json["top_logprobs"].push_back(token_json(token, logprob));
      content.push_back(std::move(json));
    }
    return {{"content", std::move(content)}};
  }

  const ChatReplyHead head_;
  std::vector<Choice> choices_;

 private:
  Json token_json(int32_t token, float logprob) const {
    const std::string bytes = tokenizer_.token_bytes(token);
    Json json;
    json["token"] = bytes;  // bytes that are no whole character become U+FFFD when it is written
    json["logprob"] = logprob;
    json["bytes"] = Json::array();
    for (const char byte : bytes) json["bytes"].push_back(static_cast<uint8_t>(byte));
    return json;
  }

  const text::Tokenizer& tokenizer_;
  const bool with_logprobs_;
  const std::string id_;
  const int64_t created_;
};

// Everything at once, when it is there.
class WholeChatReply : public ChatReply {
 public:
  using ChatReply::ChatReply;

  HttpPiece next() override {
    try {
      take_events();
    } catch (const ApiError& error) {
      return error.reply()->next();
    }
    if (!all_finished()) return {};
    return {HttpHead{}, to_text(completion()), true};
  }

 private:
  Json completion() const {
    Json json = object("chat.completion");
    json["choices"] = Json::array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Choice& choice = choices_[i];
      Json item;
      item["index"] = i;
      item["message"] = {{"role", "assistant"}, {"content", choice.text}};
      item["logprobs"] = logprobs_json(choice.logprobs);
      item["finish_reason"] = engine::finish_reason_name(choice.last->reason);
      json["choices"].push_back(std::move(item));
    }
    json["usage"] = usage();
    json["system_fingerprint"] = head_.fingerprint;
    json["x_groq"] = groq_json();
    if (!head_.service_tier.empty()) json["service_tier"] = head_.service_tier;
    return json;
  }
};

// Server-sent events: a chunk for the role, chunks of text, one that ends a choice, "[DONE]". What came while
// an earlier piece was still being written goes into one chunk.
class StreamedChatReply : public ChatReply {
 public:
  StreamedChatReply(ChatReplyHead head, std::vector<std::shared_ptr<engine::Ticket>> answers,
                    const text::Tokenizer& tokenizer, bool with_logprobs, bool usage_at_end,
                    bool usage_always)
      : ChatReply(std::move(head), std::move(answers), tokenizer, with_logprobs),
        usage_at_end_(usage_at_end),
        usage_always_(usage_always) {
    Json chunk = object("chat.completion.chunk");
    chunk["system_fingerprint"] = head_.fingerprint;
    chunk_begin_ = "data: " + to_text(chunk);
    chunk_begin_.back() = ',';  // instead of the object's end
  }

  HttpPiece next() override {
    HttpPiece piece;
    try {
      take_events();
      for (size_t i = 0; i < choices_.size(); ++i) append_news(i, piece.body);
      piece.last = all_finished();
      if (piece.last) append_end(piece.body);
    } catch (const ApiError& error) {
      if (!begun_) return error.reply()->next();
      piece.body += "event: error\ndata: " + error.body() + "\n\n";
      piece.last = true;
    }
    if (!begun_ && !piece.body.empty()) {
      begun_ = true;
      piece.head = HttpHead{200, "text/event-stream", {{"x-accel-buffering", "no"}}};
    }
    return piece;
  }

 private:
  void append_news(size_t index, std::string& body) {
    Choice& choice = choices_[index];
    const bool news = !choice.text.empty() || !choice.logprobs.empty();
    if (choice.ended || (!news && !choice.last)) return;
    if (!choice.begun) {
      choice.begun = true;
      append_chunk(index, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr, body, groq_json());
    }
    if (news) {
      Json delta;
      delta["content"] = choice.text;
      append_chunk(index, std::move(delta), logprobs_json(choice.logprobs), nullptr, body);
      choice.text.clear();
      choice.logprobs.clear();
    }
    if (!choice.last) return;
    choice.ended = true;
    Json groq = groq_json();
    if (all_ended()) groq["usage"] = usage();
    append_chunk(index, Json::object(), nullptr, engine::finish_reason_name(choice.last->reason), body,
                 std::move(groq));
  }

  bool all_ended() const {
    return std::all_of(choices_.begin(), choices_.end(), [](const Choice& choice) { return choice.ended; });
  }

  void append_chunk(size_t index, Json delta, Json logprobs, Json finish_reason, std::string& body,
                    Json groq = nullptr) const {
    Json choice;
    choice["index"] = index;
    choice["delta"] = std::move(delta);
    choice["logprobs"] = std::move(logprobs);
    choice["finish_reason"] = std::move(finish_reason);
    Json json;
    json["choices"].push_back(std::move(choice));
    if (usage_always_) json["usage"] = token_usage();
    if (!groq.is_null()) {
      if (groq.contains("usage")) json["usage"] = Json(groq["usage"]);
      json["x_groq"] = std::move(groq);
    }
    append_rest(json, body);
  }

  void append_end(std::string& body) const {
    if (usage_at_end_) {
      Json json;
      json["choices"] = Json::array();
      json["usage"] = usage();
      append_rest(json, body);
    }
    body += "data: [DONE]\n\n";
  }

  // A chunk's fields after those that all chunks begin with.
  void append_rest(const Json& json, std::string& body) const {
    body += chunk_begin_;
    body += std::string_view(to_text(json)).substr(1);
    body += "\n\n";
  }

  const bool usage_at_end_, usage_always_;
  std::string chunk_begin_;  // what all chunks begin with: from "data: " to a comma
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<HttpReply> make_chat_reply(const ChatRequest& request, ChatReplyHead head,
                                           std::vector<std::shared_ptr<engine::Ticket>> answers,
                                           const text::Tokenizer& tokenizer) {
  const bool with_logprobs = request.generation.top_logprobs.has_value();
  if (!request.stream) {
    return std::make_unique<WholeChatReply>(std::move(head), std::move(answers), tokenizer, with_logprobs);
  }
  return std::make_unique<StreamedChatReply>(std::move(head), std::move(answers), tokenizer, with_logprobs,
                                             request.usage_at_end, request.usage_always);
}

}  // namespace lockstep::server
