#include "server/tokenize_endpoints.h"

#include "server/api_error.h"
#include "server/chat/chat_messages.h"
#include "server/conversation/conversation_prompt.h"
#include "server/json_reply.h"
#include "server/prompt_fields.h"
#include "text/chat_prompt.h"

namespace lockstep::server {

namespace {

// The model named, or the only one there is.
const ServedModel& read_model(JsonFields& fields, const Inference& inference) {
  const std::optional<std::string> name = fields.text("model");
  return name ? inference.model(*name) : inference.model();
}

// `marked`: with the begin mark where the model asks for it.
std::vector<int32_t> encode(const text::Tokenizer& tokenizer, const std::string& text, bool parse_special,
                            bool marked) {
  if (marked) return text::tokenize_prompt(tokenizer, text, parse_special);
  return tokenizer.encode(text, parse_special ? text::SpecialTokens::Parse : text::SpecialTokens::Plain);
}

// vLLM's: a prompt's or a conversation's tokens, their number and the context.
ReplyJson tokenize_prompt_or_chat(JsonFields& fields, const ServedModel& model,
                                  const constrain::CallFormat& format) {
  const std::optional<std::string> prompt = fields.text("prompt");
  const bool is_chat = fields.find("messages") != nullptr;
  if (prompt.has_value() == is_chat) {
    bad_field("prompt", "one of 'prompt', 'messages' and 'content' is wanted, and no more");
  }
  const bool marked = fields.boolean("add_special_tokens").value_or(!is_chat);
  if (is_chat && marked) {
    bad_field("add_special_tokens", "value must be false: the chat template says what a prompt begins with");
  }
  if (is_chat && !fields.boolean("add_generation_prompt").value_or(true)) {
    bad_field("add_generation_prompt", "value must be true: prompts of answers are told alone");
  }
  const bool with_texts = fields.boolean("return_token_strs").value_or(false);
  const std::vector<int32_t> tokens = is_chat ? conversation_tokens(model, format, read_messages(fields))
                                              : encode(model.tokenizer, *prompt, true, marked);
  ReplyJson json;
  json["count"] = tokens.size();
  json["max_model_len"] = model.context;
  json["tokens"] = tokens;
  json["token_strs"] = nullptr;
  if (with_texts) {
    json["token_strs"] = ReplyJson::array();
    for (const int32_t token : tokens) json["token_strs"].push_back(model.tokenizer.token_bytes(token));
  }
  return json;
}

// llama.cpp's: the tokens, with their texts where these are wanted.
ReplyJson tokenize_content(const std::string& content, JsonFields& fields, const text::Tokenizer& tokenizer) {
  const bool marked = fields.boolean("add_special").value_or(false);
  const bool parse_special = fields.boolean("parse_special").value_or(true);
  const std::vector<int32_t> tokens = encode(tokenizer, content, parse_special, marked);
  if (!fields.boolean("with_pieces").value_or(false)) return {{"tokens", tokens}};
  ReplyJson pieces = ReplyJson::array();
  for (const int32_t token : tokens) {
    pieces.push_back({{"id", token}, {"piece", tokenizer.token_bytes(token)}});
  }
  return {{"tokens", std::move(pieces)}};
}

std::unique_ptr<http::Reply> tokenize(const Inference& inference, const Call& call) {
  const RequestJson body = parse_json(call.request.body);
  JsonFields fields(body, "");
  const ServedModel& model = read_model(fields, inference);
  const std::optional<std::string> content = fields.text("content");
  const ReplyJson json = content ? tokenize_content(*content, fields, model.tokenizer)
                                 : tokenize_prompt_or_chat(fields, model, inference.call_format());
  fields.finish();
  return json_reply(json);
}

// The text by vLLM's name and by llama.cpp's.
std::unique_ptr<http::Reply> detokenize(const Inference& inference, const Call& call) {
  const RequestJson body = parse_json(call.request.body);
  JsonFields fields(body, "");
  const ServedModel& model = read_model(fields, inference);
  const RequestJson* list = fields.find("tokens");
  if (list == nullptr) bad_field("tokens", "property 'tokens' is missing");
  fields.finish();
  const std::vector<int32_t> tokens = read_tokens(*list, "tokens");
  check_vocabulary(tokens, model.tokenizer, "tokens");
  const std::string text = model.tokenizer.decode(tokens, {.show_control = true});
  return json_reply({{"prompt", text}, {"content", text}});
}

}  // namespace

void add_tokenize_endpoints(Router& router, const Inference& inference) {
  for (const std::string prefix : {"/v1", ""}) {
    router.add("POST", prefix + "/tokenize", accounts::Action::Infer,
               [&inference](Call& call) { return tokenize(inference, call); });
    router.add("POST", prefix + "/detokenize", accounts::Action::Infer,
               [&inference](Call& call) { return detokenize(inference, call); });
  }
}

}  // namespace lockstep::server
