#include <algorithm>
#include <array>

#include "accounts/calendar.h"
#include "server/json_reply.h"
#include "server/organization/organization_endpoints.h"
#include "server/query_fields.h"

namespace lockstep::server {

namespace {

ReplyJson classes_json(const std::array<uint32_t, engine::kServiceClasses>& counts) {
  constexpr std::array<const char*, engine::kServiceClasses> kNames = {"performance", "on_demand", "flex",
                                                                       "batch"};
  ReplyJson json;
  for (size_t i = 0; i < counts.size(); ++i) json[kNames.at(i)] = counts.at(i);
  return json;
}

ReplyJson latencies_json(const Latencies& latencies) {
  ReplyJson json;
  json["window"] = Latencies::kWindow_s;
  json["bucket_ends"] = ReplyJson::array();
  for (size_t bucket = 0; bucket + 1 < kLatencyBuckets; ++bucket)
    json["bucket_ends"].push_back(bucket_end_s(bucket));
  const LatencyCounts counts = latencies.counts();
  for (size_t i = 0; i < counts.size(); ++i)
    json[std::string(latency_name(static_cast<Latency>(i)))] = counts.at(i);
  return json;
}

// The whole server's numbers, and nothing of whose they are.
ReplyJson live_json(const Inference& inference, const Latencies& latencies) {
  const engine::Load load = inference.model().engine.load();
  ReplyJson json;
  json["object"] = "organization.live";
  json["time"] = static_cast<double>(accounts::now_ms()) / 1e3;
  json["model"] = inference.model().ids.front();
  json["running"] = classes_json(load.running);
  json["waiting"] = classes_json(load.waiting);
  json["streams_max"] = load.streams_max;
  json["batch_streams_max"] = load.idle_max;
  json["kv"] = {{"pages_used", load.pages_used},
                {"pages_total", load.pages_total},
                {"positions_per_page", load.page_positions}};
  json["last_step"] = {{"rows", load.last_step.rows}, {"seconds", load.last_step.seconds}};
  json["totals"] = {{"steps", load.steps},
                    {"step_seconds", load.steps_s},
                    {"rows", load.rows},
                    {"input_tokens", load.prompt_tokens},
                    {"input_cached_tokens", load.prompt_tokens_reused},
                    {"output_tokens", load.answer_tokens},
                    {"drafts_tried", load.drafts_tried},
                    {"drafts_taken", load.drafts_taken},
                    {"gave_way", load.gave_way}};
  json["latency"] = latencies_json(latencies);
  return json;
}

}  // namespace

void add_live_endpoint(Router& router, const Inference& inference, const Latencies& latencies) {
  router.add("GET", "/v1/organization/live", accounts::Action::ReadUsage, [&](Call& call) {
    QueryFields(call.target).finish();
    return json_reply(live_json(inference, latencies));
  });
}

}  // namespace lockstep::server
