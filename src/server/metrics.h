// The server's numbers as Prometheus scrapes them:
// https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <prometheus/registry.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/answers.h"

namespace lockstep::server {

// How things stand when the numbers are asked for.
struct Gauges {
  uint32_t answers_running = 0;  // waiting ones among them
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
  std::vector<double> token_s = {};  // of each token but the first of all its answers
};

// THREAD: any. The names are those of vLLM where it has the same, with another prefix.
class Metrics {
 public:
  Metrics();

  // A request's first token came so many seconds after the request's first byte.
  void first_token(double seconds);
  // So many more tokens were generated.
  void generated(uint32_t tokens);
  void request_ended(const RequestEnd& end);

  // Asked at each collection.
  void set_gauges(std::function<Gauges()> gauges) { gauges_ = std::move(gauges); }
  // All of it as text.
  std::string text() const;

 private:
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Counter>& refusals_;
  prometheus::Counter& prompt_tokens_;
  prometheus::Counter& cached_tokens_;
  prometheus::Counter& generated_tokens_;
  prometheus::Histogram& first_token_s_;
  prometheus::Histogram& between_tokens_s_;
  prometheus::Histogram& whole_s_;
  prometheus::Histogram& queue_s_;
  prometheus::Histogram& prompt_s_;
  prometheus::Histogram& generation_s_;
  std::function<Gauges()> gauges_;
};

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace lockstep::server
