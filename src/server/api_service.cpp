#include "server/api_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "server/api_error.h"
#include "server/chat_reply.h"
#include "server/chat_request.h"
#include "server/identifiers.h"
#include "text/chat_prompt.h"

namespace lockstep::server {

namespace {

using Json = nlohmann::ordered_json;

std::unique_ptr<HttpReply> json_reply(const Json& json) {
  return std::make_unique<WholeReply>(HttpHead{}, json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// %2F and the like; a % without two digits stays.
std::string decode_percent(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool code =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    result += code ? static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])) : text[i];
    if (code) i += 2;
  }
  return result;
}

// Takes `prefix` off `path` where it is a whole part of it.
bool take_prefix(std::string_view& path, std::string_view prefix) {
  if (!path.starts_with(prefix) || !path.substr(prefix.size()).starts_with('/')) return false;
  path.remove_prefix(prefix.size());
  return true;
}

void require_method(const HttpRequest& request, std::string_view wanted) {
  if (request.method == wanted) return;
  throw ApiError(405, "method_not_allowed", "",
                 fmt::format("{} is asked for with {}, not {}", request.target, wanted, request.method))
      .with_header("allow", std::string(wanted));
}

[[noreturn]] void unknown_url(const HttpRequest& request) {
  throw ApiError(
      404, "unknown_url", "",
      fmt::format("Unknown request URL: {} {}. Please check the URL for typos, or see docs/server.md.",
                  request.method, request.target));
}

}  // namespace

ApiService::ApiService(ServedModel model, const ApiLimits& limits)
    : model_(std::move(model)),
      limits_(limits),
      created_(unix_seconds()),
      answers_(std::make_shared<std::atomic<uint32_t>>(0)) {}

std::unique_ptr<HttpReply> ApiService::answer(const HttpRequest& request, Wake wake) {
  try {
    return route(request, std::move(wake));
  } catch (const ApiError& error) {
    return error.reply();
  } catch (const Error& error) {
    return ApiError(error).reply();
  } catch (const std::bad_alloc&) {
    return ApiError(503, "", "", "the server is out of memory").reply();
  } catch (const std::exception& error) {
    return ApiError(500, "", "", error.what()).reply();
  }
}

std::unique_ptr<HttpReply> ApiService::route(const HttpRequest& request, Wake wake) {
  std::string_view path = request.target;
  path = path.substr(0, path.find('?'));
  if (path == "/healthz" || path == "/health") {
    require_method(request, "GET");
    return json_reply({{"status", "ok"}});
  }
  if (path == "/readyz") {
    require_method(request, "GET");
    return json_reply({{"status", "ready"}, {"answers_running", answers_->load()}});
  }
  take_prefix(path, "/openai");
  if (!take_prefix(path, "/v1")) unknown_url(request);
  if (path == "/models") {
    require_method(request, "GET");
    return list_models();
  }
  if (take_prefix(path, "/models")) {
    require_method(request, "GET");
    return show_model(decode_percent(path.substr(1)));
  }
  if (path == "/chat/completions") {
    require_method(request, "POST");
    return complete_chat(request, std::move(wake));
  }
  unknown_url(request);
}

Json model_json(const ServedModel& model, const std::string& id, int64_t created) {
  Json json;
  json["id"] = id;
  json["object"] = "model";
  json["created"] = created;
  json["owned_by"] = "lockstep";
  json["active"] = true;
  json["context_window"] = model.context;
  json["public_apps"] = nullptr;
  json["max_completion_tokens"] = model.context;
  json["fingerprint"] = model.fingerprint;
  return json;
}

std::unique_ptr<HttpReply> ApiService::list_models() const {
  Json data = Json::array();
  for (const std::string& id : model_.ids) data.push_back(model_json(model_, id, created_));
  return json_reply({{"object", "list"}, {"data", std::move(data)}});
}

std::unique_ptr<HttpReply> ApiService::show_model(const std::string& id) const {
  require_model(id);
  return json_reply(model_json(model_, id, created_));
}

void ApiService::require_model(const std::string& id) const {
  if (std::find(model_.ids.begin(), model_.ids.end(), id) != model_.ids.end()) return;
  throw ApiError(404, "model_not_found", "model",
                 fmt::format("The model `{}` does not exist or you do not have access to it.", id));
}

std::unique_ptr<HttpReply> ApiService::complete_chat(const HttpRequest& request, Wake wake) {
  ChatRequest chat = parse_chat_request(request.body);
  require_model(chat.model);
  if (model_.chat_template == nullptr) {
    throw ApiError(400, "", "model",
                   fmt::format("'{}' has no chat template, which a chat needs", chat.model));
  }
  const std::string prompt = text::render_chat(*model_.chat_template, model_.tokenizer, chat.messages);
  chat.generation.prompt = text::tokenize_prompt(model_.tokenizer, prompt, true);
  chat.generation.chunk = model_.chunk;
  const size_t prompt_tokens = chat.generation.prompt.size();
  if (prompt_tokens > model_.context) {
    throw ApiError(400, "context_length_exceeded", "messages",
                   fmt::format("Please reduce the length of the messages or completion: the messages have {} "
                               "tokens and the context holds {}.",
                               prompt_tokens, model_.context));
  }
  if (answers_->fetch_add(chat.choices) + chat.choices > limits_.answers_max) {
    answers_->fetch_sub(chat.choices);
    throw ApiError(503, "", "",
                   fmt::format("{} is currently over capacity. Please try again and back off exponentially.",
                               chat.model));
  }
  const auto listener = [count = answers_, wake = std::move(wake)](bool finished) {
    if (finished) count->fetch_sub(1);
    wake();
  };
  std::vector<std::shared_ptr<engine::Ticket>> answers;
  try {
    for (uint32_t choice = 0; choice < chat.choices; ++choice) {
      chat.generation.choice = choice;
      answers.push_back(model_.engine.submit(chat.generation, listener));
    }
  } catch (...) {
    answers_->fetch_sub(chat.choices - static_cast<uint32_t>(answers.size()));
    for (const auto& ticket : answers) ticket->cancel();
    throw;
  }
  ChatReplyHead head = {request.id,
                        chat.model,
                        model_.short_fingerprint(),
                        chat.service_tier,
                        chat.generation.sampling.seed,
                        static_cast<uint32_t>(prompt_tokens)};
  return make_chat_reply(chat, std::move(head), std::move(answers), model_.tokenizer);
}

}  // namespace lockstep::server
