#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

namespace lockstep::server {

namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Upper bounds in seconds: three a decade, from a fast step to the longest patience.
const Buckets kTokenBuckets = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5};
const Buckets kRequestBuckets = {0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500};

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry, const char* name,
                                                  const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Histogram& histogram(prometheus::Registry& registry, const char* name, const char* help,
                                 const Buckets& buckets) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
}

void observe_all(prometheus::Histogram& histogram, const Buckets& buckets,
                 const std::vector<double>& values) {
  if (values.empty()) return;
  std::vector<double> counts(buckets.size() + 1);
  double sum = 0;
  for (const double value : values) {
    const auto bucket = std::lower_bound(buckets.begin(), buckets.end(), value);
    counts[static_cast<size_t>(bucket - buckets.begin())] += 1;
    sum += value;
  }
  histogram.ObserveMultiple(counts, sum);
}

void append(const char* name, const char* help, MetricType type, double value,
            std::vector<MetricFamily>& families) {
  prometheus::ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  families.push_back({name, help, type, {std::move(metric)}});
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

void append_by_class(const char* name, const char* help,
                     const std::array<uint32_t, engine::kServiceClasses>& counts,
                     std::vector<MetricFamily>& families) {
  static constexpr std::array<const char*, engine::kServiceClasses> kNames = {"performance", "on_demand",
                                                                              "flex", "idle"};
  MetricFamily family{name, help, MetricType::Gauge, {}};
  for (size_t i = 0; i < counts.size(); ++i) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    metric.label = {{"class", kNames[i]}};
    metric.gauge.value = counts[i];
  }
  families.push_back(std::move(family));
}

// What only the engine and the sockets know.
void append_state(const ServerState& state, std::vector<MetricFamily>& families) {
  const engine::Load& load = state.engine;
  const auto gauge = [&](const char* name, const char* help, double value) {
    append(name, help, MetricType::Gauge, value, families);
  };
  const auto counter = [&](const char* name, const char* help, auto value) {
    append(name, help, MetricType::Counter, static_cast<double>(value), families);
  };
  append_by_class("lockstep_num_requests_running", "Answers in the batch, by class of service.", load.running,
                  families);
  append_by_class("lockstep_num_requests_waiting", "Answers that wait for a place in the batch.",
                  load.waiting, families);
  gauge("lockstep_batch_rows", "Rows of the last step.", load.last_step.rows);
  gauge("lockstep_step_seconds", "What the last step took.", load.last_step.seconds);
  gauge("lockstep_kv_pages_used", "Pages of the KV pool that answers hold.", load.pages_used);
  gauge("lockstep_kv_pages_total", "Pages of the KV pool.", load.pages_total);
  gauge("lockstep_kv_cache_usage_perc", "The share of the KV pool that answers hold, from 0 to 1.",
        load.pages_total == 0 ? 0 : static_cast<double>(load.pages_used) / load.pages_total);
  counter("lockstep_generation_tokens_total", "Tokens of answers.", load.answer_tokens);
  counter("lockstep_steps_total", "Steps of the batch.", load.steps);
  counter("lockstep_rows_total", "Rows of all steps, drafts among them.", load.rows);
  counter("lockstep_draft_tokens_total", "Tokens guessed ahead.", load.drafts_tried);
  counter("lockstep_draft_tokens_accepted_total", "Tokens guessed ahead that were right.", load.drafts_taken);
  counter("lockstep_num_preemptions_total", "Times that an answer gave its pages back for another.",
          load.gave_way);
  gauge("lockstep_http_connections", "Open connections.", state.connections);
}

// Under the names that every exporter gives them.
void append_process(std::vector<MetricFamily>& families) {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  append("process_cpu_seconds_total", "CPU time of all threads, the system's for them included.",
         MetricType::Counter, seconds(used.ru_utime) + seconds(used.ru_stime), families);
  uint64_t pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident_pages;
  const auto page_bytes = static_cast<double>(::sysconf(_SC_PAGESIZE));
  append("process_virtual_memory_bytes", "Addresses in use.", MetricType::Gauge,
         static_cast<double>(pages) * page_bytes, families);
  append("process_resident_memory_bytes", "Memory in use.", MetricType::Gauge,
         static_cast<double>(resident_pages) * page_bytes, families);
}

}  // namespace

Metrics::Metrics()
    : requests_(counters(registry_, "lockstep_http_requests_total",
                         "Requests that ended; status 499: the client went before the end.")),
      refusals_(counters(registry_, "lockstep_refusals_total", "Requests refused or failed, by the reason.")),
      prompt_tokens_(
          counters(registry_, "lockstep_prompt_tokens_total", "Tokens of prompts, cached ones too.").Add({})),
      cached_tokens_(counters(registry_, "lockstep_prompt_tokens_cached_total",
                              "Tokens of prompts whose state was there before.")
                         .Add({})),
      first_token_s_(histogram(registry_, "lockstep_time_to_first_token_seconds",
                               "From a request's first byte to its first token.", kRequestBuckets)),
      between_tokens_s_(histogram(registry_, "lockstep_inter_token_latency_seconds",
                                  "From a token to the next of the same answer.", kTokenBuckets)),
      whole_s_(histogram(registry_, "lockstep_e2e_request_latency_seconds",
                         "From a request's first byte to its reply's end, where tokens were generated.",
                         kRequestBuckets)),
      queue_s_(histogram(registry_, "lockstep_request_queue_time_seconds",
                         "From the engine's taking a request to its first step.", kRequestBuckets)),
      prompt_s_(histogram(registry_, "lockstep_request_prefill_time_seconds",
                          "From the first step to the first token.", kRequestBuckets)),
      generation_s_(histogram(registry_, "lockstep_request_decode_time_seconds",
                              "From the first token to the last.", kRequestBuckets)) {}

void Metrics::request_ended(const RequestEnd& end) {
  requests_.Add({{"endpoint", end.endpoint}, {"model", end.model}, {"status", std::to_string(end.status)}})
      .Increment();
  if (!end.reason.empty()) refusals_.Add({{"reason", end.reason}}).Increment();
  if (end.first_token_s) first_token_s_.Observe(*end.first_token_s);
  observe_all(between_tokens_s_, kTokenBuckets, end.token_s);
  const Usage& usage = end.usage;
  if (usage.total_tokens() == 0) return;
  prompt_tokens_.Increment(usage.prompt_tokens);
  cached_tokens_.Increment(usage.cached_tokens);
  if (usage.completion_tokens == 0 || end.status != 200) return;
  whole_s_.Observe(end.seconds);
  queue_s_.Observe(usage.queue_s);
  prompt_s_.Observe(usage.prompt_s);
  generation_s_.Observe(usage.completion_s);
}

std::string Metrics::text() const {
  std::vector<MetricFamily> families = registry_.Collect();
  if (state_) append_state(state_(), families);
  append_process(families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace lockstep::server
