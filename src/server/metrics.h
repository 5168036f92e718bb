// The server's numbers as Prometheus scrapes them:
// https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <prometheus/registry.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "server/answers.h"

namespace lockstep::server {

// How things stand when the numbers are asked for.
struct ServerState {
  engine::Load engine = {};
  uint32_t connections = 0;
};

// A request that has ended.
struct RequestEnd {
  std::string endpoint;  // a route's pattern: as many values as there are routes
  std::string model;     // as the request named it, if there is such a model; empty where none was named
  unsigned status = 200;
  std::string reason;  // why it was refused or failed, in one word; empty: it did not
  double seconds = 0;  // since its first byte came
  Usage usage;
  std::optional<double> first_token_s;  // since the request's first byte
  std::vector<double> token_s = {};     // of each token but the first of all its answers
};

// THREAD: any. The names are those of vLLM where it has the same, with another prefix.
class Metrics {
 public:
  Metrics();

  void request_ended(const RequestEnd& end);

  // Asked for at each collection.
  void set_state(std::function<ServerState()> state) { state_ = std::move(state); }
  // All of it as text.
  std::string text() const;

 private:
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Counter>& refusals_;
  prometheus::Counter& prompt_tokens_;
  prometheus::Counter& cached_tokens_;
  prometheus::Histogram& first_token_s_;
  prometheus::Histogram& between_tokens_s_;
  prometheus::Histogram& whole_s_;
  prometheus::Histogram& queue_s_;
  prometheus::Histogram& prompt_s_;
  prometheus::Histogram& generation_s_;
  std::function<ServerState()> state_;
};

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace lockstep::server
