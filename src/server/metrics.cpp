#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
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
      generated_tokens_(
          counters(registry_, "lockstep_generation_tokens_total", "Tokens of answers.").Add({})),
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

void Metrics::first_token(double seconds) {
  first_token_s_.Observe(seconds);
}

void Metrics::generated(uint32_t tokens) {
  generated_tokens_.Increment(tokens);
}

void Metrics::request_ended(const RequestEnd& end) {
  requests_.Add({{"endpoint", end.endpoint}, {"model", end.model}, {"status", std::to_string(end.status)}})
      .Increment();
  if (!end.reason.empty()) refusals_.Add({{"reason", end.reason}}).Increment();
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
  const Gauges gauges = gauges_ ? gauges_() : Gauges{};
  append("lockstep_num_requests_running", "Answers in the engine, waiting ones among them.",
         MetricType::Gauge, gauges.answers_running, families);
  append("lockstep_http_connections", "Open connections.", MetricType::Gauge, gauges.connections, families);
  append_process(families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace lockstep::server
