#include "accounts/access.h"
#include "accounts/calendar.h"
#include "server/api_error.h"
#include "server/organization/entity_json.h"
#include "server/organization/log_query.h"
#include "server/organization/organization_endpoints.h"
#include "server/query_fields.h"

namespace lockstep::server {

namespace {

using accounts::Access;
using accounts::GroupBy;
using accounts::Period;

struct UsageQuery {
  Period period;
  GroupBy group;
  Access::Reach reach;
  int64_t from_ms, until_ms;
};

UsageQuery read_query(QueryFields query) {
  UsageQuery wanted;
  wanted.period = query.choice("period", {"hour", "day"}, 0) == 0 ? Period::Hour : Period::Day;
  wanted.group = static_cast<GroupBy>(query.choice("group_by", {"none", "model", "key", "project"}, 0));
  wanted.reach = read_reach(query);
  const int64_t usual_ms = wanted.period == Period::Hour ? accounts::kDay_ms : 30 * accounts::kDay_ms;
  wanted.until_ms = read_time_ms(query, "until").value_or(accounts::now_ms());
  wanted.from_ms = read_time_ms(query, "from").value_or(std::max<int64_t>(0, wanted.until_ms - usual_ms));
  query.finish();
  return wanted;
}

ReplyJson sum_json(const accounts::UsageSum& sum, GroupBy group) {
  const auto name_of = [&](GroupBy one) { return group == one ? ReplyJson(sum.group) : ReplyJson(nullptr); };
  return {{"object", "organization.usage.result"},  {"model", name_of(GroupBy::Model)},
          {"key_id", name_of(GroupBy::Key)},        {"project_id", name_of(GroupBy::Project)},
          {"num_model_requests", sum.requests},     {"num_errors", sum.errors},
          {"input_tokens", sum.tokens.prompt},      {"input_cached_tokens", sum.tokens.cached},
          {"output_tokens", sum.tokens.completion}, {"usd", accounts::format_usd(sum.cost)}};
}

// Every hour or day of the time, those without requests too.
ReplyJson buckets_json(const UsageQuery& wanted, const std::vector<accounts::UsageSum>& sums) {
  const int64_t width_ms = wanted.period == Period::Hour ? accounts::kHour_ms : accounts::kDay_ms;
  ReplyJson list = ReplyJson::array();
  auto sum = sums.begin();
  for (int64_t start_ms = wanted.from_ms / width_ms * width_ms; start_ms < wanted.until_ms;
       start_ms += width_ms) {
    ReplyJson results = ReplyJson::array();
    for (; sum != sums.end() && sum->start_ms == start_ms; ++sum)
      results.push_back(sum_json(*sum, wanted.group));
    list.push_back({{"object", "bucket"},
                    {"start_time", unix_seconds_of(start_ms)},
                    {"end_time", unix_seconds_of(start_ms + width_ms)},
                    {"results", std::move(results)}});
  }
  return list;
}

}  // namespace

void add_usage_endpoint(Router& router, accounts::Accounts& accounts) {
  router.add("GET", "/v1/organization/usage", accounts::Action::ReadUsage, [&](Call& call) {
    const UsageQuery wanted = read_query(QueryFields(call.target));
    const std::vector<accounts::UsageSum> sums =
        Access(accounts, call.caller)
            .usage(wanted.period, wanted.group, wanted.from_ms, wanted.until_ms, wanted.reach);
    return json_reply({{"object", "list"},
                       {"data", buckets_json(wanted, sums)},
                       {"has_more", false},
                       {"last_id", nullptr}});
  });
}

}  // namespace lockstep::server
