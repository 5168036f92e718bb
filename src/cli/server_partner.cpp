#include "cli/server_partner.h"

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>
#include <boost/algorithm/string/trim.hpp>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/printable.h"
#include "cli/console.h"

namespace lockstep::cli {

namespace {

constexpr const char* kKeyVariable = "LOCKSTEP_API_KEY";
constexpr double kWait_s = 60;                    // for a server that asks to come again, at the most
constexpr size_t kErrorBytes = size_t{64} << 10;  // of a refusal's body that are read
constexpr size_t kModelsBytes = size_t{4} << 20;  // of the list of models
constexpr size_t kMessageBytes = 600;             // of a server's message that are shown
constexpr size_t kModelsShown = 8;

std::string read_key(const std::string& file) {
  const char* variable = std::getenv(kKeyVariable);
  const std::string place = file.empty() ? kKeyVariable : "--api-key-file " + file;
  if (file.empty() && variable == nullptr) return {};
  const std::string key = boost::trim_copy(file.empty() ? std::string(variable) : read_text_file(file));
  const bool good = std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (!good || (key.empty() && !file.empty()))
    user_error("{}: a key is wanted, one word and nothing else", place);
  return key;
}

http::Url parse_server(const std::string& text) {
  try {
    return http::parse_url(text);
  } catch (const Error& error) {
    user_error("--server {}", error.what());
  }
}

const nlohmann::json* find(const nlohmann::json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string find_text(const nlohmann::json& object, const char* key) {
  const nlohmann::json* found = find(object, key);
  return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

std::optional<uint64_t> find_count(const nlohmann::json& object, const char* key) {
  const nlohmann::json* found = find(object, key);
  if (found == nullptr || !found->is_number_unsigned()) return std::nullopt;
  return found->get<uint64_t>();
}

// A server's message, fit for a sentence of ours.
std::string shown(const std::string& message) {
  std::string text = printable(boost::trim_copy(message), kMessageBytes);
  while (text.ends_with('.') && !text.ends_with("...")) text.pop_back();
  return text;
}

// The message of {"error": {"message": ...}}, or of {"error": "..."}.
std::string error_message(const nlohmann::json& json) {
  const nlohmann::json* error = find(json, "error");
  if (error == nullptr) return find_text(json, "message");
  return error->is_string() ? error->get<std::string>() : find_text(*error, "message");
}

// Seconds of the header retry-after; none where it is not there or a date.
std::optional<double> retry_after_s(const http::Exchange& exchange) {
  const std::string text = exchange.header("retry-after");
  double seconds = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, seconds);
  if (text.empty() || result.ec != std::errc() || result.ptr != end || !(seconds >= 0)) return std::nullopt;
  return std::max(1.0, std::ceil(seconds));
}

void pause(double seconds, const http::Exchange::IsStopped& is_stopped) {
  const Stopwatch watch;
  while (watch.seconds() < seconds) {
    if (is_stopped()) throw http::Exchange::Stopped{};
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// In JSON the number that the user wrote, such as 0.8, and not the binary32 next to it.
double shortest(const char* option, float value) {
  if (!std::isfinite(value)) user_error("{}: {} is no number that a server takes", option, value);
  const std::string text = fmt::format("{}", value);
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Fields that not every server knows are sent where they are not what all have by themselves.
void add_sampling(const lockstep_request_options& request, nlohmann::json& body) {
  lockstep_request_options usual{};
  lockstep_default_request(&usual);
  body["temperature"] = shortest("--temperature", request.temperature);
  body["top_p"] = shortest("--top-p", request.top_p);
  body["seed"] = request.seed;
  auto add = [&](const char* name, const char* option, float value, float otherwise) {
    if (value != otherwise) body[name] = shortest(option, value);
  };
  add("min_p", "--min-p", request.min_p, usual.min_p);
  add("repetition_penalty", "--repetition-penalty", request.repetition_penalty, usual.repetition_penalty);
  add("frequency_penalty", "--frequency-penalty", request.frequency_penalty, usual.frequency_penalty);
  add("presence_penalty", "--presence-penalty", request.presence_penalty, usual.presence_penalty);
  if (request.top_k != usual.top_k) body["top_k"] = request.top_k;
  if (request.tokens_max != 0) body["max_completion_tokens"] = request.tokens_max;
  if (request.ignore_end != 0) body["ignore_eos"] = true;
  for (size_t i = 0; i < request.stop_count; ++i) body["stop"].push_back(request.stop[i]);
  for (size_t i = 0; i < request.logit_bias_count; ++i) {
    const lockstep_logit_bias& bias = request.logit_bias[i];
    body["logit_bias"][std::to_string(bias.token)] = shortest("--logit-bias", bias.bias);
  }
}

}  // namespace

void ServerOptions::add(CLI::App& command) {
  CLI::Option* server =
      command
          .add_option("--server", url,
                      "talk with a model behind this server, which speaks OpenAI's API, and load none")
          ->type_name("URL");
  command.add_option("--server-model", model, "which of the server's models (default: the first it lists)")
      ->type_name("NAME")
      ->needs(server);
  command
      .add_option("--api-key-file", api_key_file,
                  "file with the server's key (default: the environment's LOCKSTEP_API_KEY)")
      ->type_name("FILE")
      ->needs(server);
  command
      .add_option("--ca-file", ca_file,
                  "PEM file with authorities to trust for https (default: the system's)")
      ->type_name("FILE")
      ->needs(server);
}

ServerPartner::ServerPartner(const ServerOptions& options, const lockstep_request_options& request)
    : key_(read_key(options.api_key_file)),
      client_(parse_server(options.url.value_or("")), {.ca_file = options.ca_file}),
      base_(client_.url().path.empty() ? "/v1" : client_.url().path),
      request_(request) {
  find_model(options.model);
}

http::ClientRequest ServerPartner::request(const char* method, const std::string& path) const {
  http::ClientRequest request{.method = method, .target = base_ + path};
  request.headers = {{"user-agent", fmt::format("lockstep/{}", lockstep_version())}};
  if (!key_.empty()) request.headers.emplace_back("authorization", "Bearer " + key_);
  return request;
}

void ServerPartner::find_model(const std::string& wanted) {
  model_ = wanted;
  http::Exchange exchange(client_, request("GET", "/models"), [] { return false; });
  if (exchange.status() == 404 && !wanted.empty()) return;  // a server without a list
  if (exchange.status() != 200) refuse(exchange, "/models");
  const nlohmann::json json = nlohmann::json::parse(exchange.read_rest(kModelsBytes), nullptr, false);
  const nlohmann::json* list = find(json, "data");
  if (list == nullptr || !list->is_array()) {
    user_error("{}{}/models is no list of models; the path of --server is usually /v1 or /openai/v1",
               client_.url().origin(), base_);
  }
  for (const nlohmann::json& item : *list) {
    const std::string name = find_text(item, "id");
    if (name.empty()) continue;
    models_.push_back(name);
    if (model_.empty()) model_ = name;
    if (name == model_) context_ = find_count(item, "context_window");
  }
  if (model_.empty()) {
    user_error("{}{}/models lists no model; --server-model NAME says which one is wanted",
               client_.url().origin(), base_);
  }
}

// Anything but 200, told as one sentence.
void ServerPartner::refuse(http::Exchange& exchange, const std::string& path) const {
  const unsigned status = exchange.status();
  const std::string body = exchange.read_rest(kErrorBytes);
  std::string text = shown(error_message(nlohmann::json::parse(body, nullptr, false)));
  if (text.empty()) text = "without a message";
  const std::string place = client_.url().origin() + base_ + path;
  if (status == 401) {
    text += key_.empty() ? fmt::format("; --api-key-file FILE or {} gives the key", kKeyVariable)
                         : "; another key than the one that was sent is wanted";
  } else if (status == 403) {
    text += "; a key that may do this is wanted";
  } else if (status == 404 && models_.empty()) {
    text += "; the path of --server is usually /v1 or /openai/v1";
  } else if (status == 404) {
    std::string names;
    for (size_t i = 0; i < std::min(models_.size(), kModelsShown); ++i) {
      names += (i == 0 ? "" : ", ") + printable(models_[i]);
    }
    text += fmt::format("; the server lists {}{}", names, models_.size() > kModelsShown ? ", ..." : "");
  } else if (status / 100 == 3) {
    text += fmt::format("; it points to {}", printable(exchange.header("location")));
  } else if (const auto wait_s = retry_after_s(exchange)) {
    text += fmt::format("; it may be tried again in {:.0f} s", *wait_s);
  }
  user_error("{}: {}: {}", place, status, text);
}

std::string ServerPartner::description() const {
  const std::string others =
      models_.size() > 1 ? fmt::format(", one of {} models there", models_.size()) : "";
  const std::string context = context_ ? fmt::format(", context of {} tokens", *context_) : "";
  return fmt::format("{} at {}{}{}{}", printable(model_), client_.url().origin(), base_, others, context);
}

http::ClientRequest ServerPartner::chat_request(const Conversation& conversation) const {
  nlohmann::json body = {{"model", model_}, {"stream", true}, {"stream_options", {{"include_usage", true}}}};
  body["messages"] = nlohmann::json::array();
  auto add = [&](const std::string& role, const std::string& content) {
    body["messages"].push_back({{"role", role}, {"content", content}});
  };
  if (!conversation.system.empty()) add("system", conversation.system);
  for (const Message& message : conversation.messages) add(message.role, message.content);
  add_sampling(request_, body);
  http::ClientRequest request = this->request("POST", "/chat/completions");
  request.headers.emplace_back("content-type", "application/json");
  request.headers.emplace_back("accept", "text/event-stream");
  request.body = body.dump();
  return request;
}

ChatReply ServerPartner::answer(const Conversation& conversation, const Show& show) {
  last_.reset();
  DeferredInterrupt interrupt;
  Turn turn;
  try {
    ask(conversation, turn, show, [&] { return interrupt.signal() != 0; });
  } catch (const http::Exchange::Stopped&) {
    turn.finish_reason = "cancelled";
  }
  ChatReply reply{.text = turn.text,
                  .begun = turn.finish_reason != "cancelled" || !turn.text.empty(),
                  .cancelled = turn.finish_reason == "cancelled",
                  .signal = interrupt.signal()};
  if (turn.finish_reason == "length" && request_.tokens_max == 0) {
    reply.warning =
        "the answer ends here because the server's context or its limit is full: /reset begins anew";
  }
  last_ = std::move(turn);
  return reply;
}

// A server that has too much to do may say when to come again.
void ServerPartner::ask(const Conversation& conversation, Turn& turn, const Show& show,
                        const http::Exchange::IsStopped& is_stopped) {
  const http::ClientRequest request = chat_request(conversation);
  double waited_s = 0;
  while (true) {
    turn.since_request = {};
    http::Exchange exchange(client_, request, is_stopped);
    if (exchange.status() == 200) return read_answer(exchange, turn, show);
    const std::optional<double> wait_s = retry_after_s(exchange);
    if (exchange.status() != 429 || !wait_s || waited_s + *wait_s > kWait_s) {
      refuse(exchange, "/chat/completions");
    }
    show_warning(fmt::format(
        "{}: 429: {}; sent again in {:.0f} s", client_.url().origin(),
        shown(error_message(nlohmann::json::parse(exchange.read_rest(kErrorBytes), nullptr, false))),
        *wait_s));
    pause(*wait_s, is_stopped);
    waited_s += *wait_s;
  }
}

void ServerPartner::read_answer(http::Exchange& exchange, Turn& turn, const Show& show) {
  const std::string& origin = client_.url().origin();
  const std::string type = exchange.header("content-type");
  if (!boost::istarts_with(type, "text/event-stream")) {
    user_error("{}{}/chat/completions: the reply is \"{}\" and no event stream; is this the path of an API?",
               origin, base_, printable(type));
  }
  http::EventReader reader;
  std::vector<http::Event> events;
  bool ended = false;
  auto show_timed = [&](std::string_view piece) {
    if (turn.text.empty()) turn.first_text_s = turn.since_request.seconds();
    turn.text += piece;
    show(piece);
  };
  while (!ended) {
    const std::string bytes = exchange.read_some();
    if (bytes.empty()) break;
    events.clear();
    reader.push(bytes, events);
    for (const http::Event& event : events) ended = ended || take_event(event, turn, show_timed);
    turn.end_s = turn.since_request.seconds();
  }
  if (turn.finish_reason.empty()) user_error("{}: the answer was cut off; send the message again", origin);
}

// Whether this was the stream's last event.
bool ServerPartner::take_event(const http::Event& event, Turn& turn, const Show& show) const {
  if (event.data == "[DONE]") return true;
  const nlohmann::json chunk = nlohmann::json::parse(event.data, nullptr, false);
  const std::string origin = client_.url().origin();
  if (!chunk.is_object()) {
    user_error("{}: an event of the stream is no JSON object: {}", origin, printable(event.data));
  }
  const nlohmann::json* groq = find(chunk, "x_groq");
  if (event.type == "error" || find(chunk, "error") != nullptr) {
    user_error("{}: the answer failed: {}", origin, shown(error_message(chunk)));
  }
  if (groq != nullptr && find(*groq, "error") != nullptr) {
    user_error("{}: the answer failed: {}", origin, shown(error_message(*groq)));
  }
  if (const std::string name = find_text(chunk, "system_fingerprint"); !name.empty()) turn.fingerprint = name;
  const nlohmann::json* usage = find(chunk, "usage");
  if (usage == nullptr && groq != nullptr) usage = find(*groq, "usage");
  if (usage != nullptr) {
    turn.prompt_tokens = find_count(*usage, "prompt_tokens");
    turn.answer_tokens = find_count(*usage, "completion_tokens");
    if (const nlohmann::json* details = find(*usage, "prompt_tokens_details")) {
      turn.cached_tokens = find_count(*details, "cached_tokens");
    }
  }
  const nlohmann::json* choices = find(chunk, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty()) return false;
  const nlohmann::json& choice = choices->front();
  if (const nlohmann::json* delta = find(choice, "delta")) {
    if (const std::string piece = find_text(*delta, "content"); !piece.empty()) show(piece);
  }
  if (const std::string reason = find_text(choice, "finish_reason"); !reason.empty())
    turn.finish_reason = reason;
  return false;
}

std::string ServerPartner::statistics(const Conversation& conversation, bool current) const {
  std::string text =
      fmt::format("model         {}\nserver        {}{}\n", printable(model_), client_.url().origin(), base_);
  if (last_ && !last_->fingerprint.empty()) {
    text += fmt::format("fingerprint   {}\n", printable(last_->fingerprint));
  }
  text += fmt::format("messages      {}\n", conversation.messages.size());
  if (!last_) return text;
  const Turn& turn = *last_;
  const uint64_t used = turn.prompt_tokens.value_or(0) + turn.answer_tokens.value_or(0);
  if (current && used != 0 && context_.value_or(0) != 0) {
    text += fmt::format("context       {} of {} tokens ({}%)\n", used, *context_, used * 100 / *context_);
  }
  if (turn.prompt_tokens) {
    text += fmt::format("prompt        {} tokens, {} of them kept by the server\n", *turn.prompt_tokens,
                        turn.cached_tokens.value_or(0));
  }
  text += fmt::format("first text    after {:.3f} s\n", turn.first_text_s);
  const double decode_s = turn.end_s - turn.first_text_s;
  text += turn.answer_tokens
              ? fmt::format("answer        {} tokens ({}) in {:.3f} s", *turn.answer_tokens,
                            printable(turn.finish_reason), decode_s)
              : fmt::format("answer        ({}) in {:.3f} s", printable(turn.finish_reason), decode_s);
  if (turn.answer_tokens.value_or(0) > 1 && decode_s > 0) {
    text += fmt::format(" ({:.1f} a second)", static_cast<double>(*turn.answer_tokens - 1) / decode_s);
  }
  return text + "\n";
}

}  // namespace lockstep::cli
