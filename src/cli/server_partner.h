// A chat's partner behind a server that speaks OpenAI's API, such as 'lockstep serve', llama-server or
// GroqCloud.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "cli/chat_partner.h"
#include "cli/options.h"
#include "http/client.h"
#include "http/event_reader.h"

namespace lockstep::cli {

struct ServerOptions {
  std::optional<std::string> url;  // with the path of the API, or without any: then /v1
  std::string model;               // empty: the first that the server lists
  std::string api_key_file;        // empty: the environment's LOCKSTEP_API_KEY, or none
  std::string ca_file;             // empty: the system's authorities

  void add(CLI::App& command);
};

class ServerPartner : public ChatPartner {
 public:
  // Asks the server for its models. The request must outlive the partner; of it everything is sent but
  // `chunk`. Throws a user's error when the server cannot be used.
  ServerPartner(const ServerOptions& options, const lockstep_request_options& request);

  std::string description() const override;
  ChatReply answer(const Conversation& conversation, const Show& show) override;
  std::string statistics(const Conversation& conversation, bool current) const override;

 private:
  // What is known of an answer: what the server told, and when its pieces came.
  struct Turn {
    Stopwatch since_request;
    std::string text, finish_reason, fingerprint;
    std::optional<uint64_t> prompt_tokens, cached_tokens, answer_tokens;
    double first_text_s = 0, end_s = 0;
  };

  http::ClientRequest request(const char* method, const std::string& path) const;
  http::ClientRequest chat_request(const Conversation& conversation) const;
  void find_model(const std::string& wanted);
  void ask(const Conversation& conversation, Turn& turn, const Show& show,
           const http::Exchange::IsStopped& is_stopped);
  void read_answer(http::Exchange& exchange, Turn& turn, const Show& show);
  bool take_event(const http::Event& event, Turn& turn, const Show& show) const;
  [[noreturn]] void refuse(http::Exchange& exchange, const std::string& path) const;

  std::string key_;
  http::Client client_;
  std::string base_;  // the path of the API, such as "/v1"
  std::string model_;
  std::vector<std::string> models_;  // that the server lists
  std::optional<uint64_t> context_;
  const lockstep_request_options& request_;
  std::optional<Turn> last_;
};

}  // namespace lockstep::cli
