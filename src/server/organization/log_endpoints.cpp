// The request log.
#include "accounts/access.h"
#include "server/organization/entity_json.h"
#include "server/organization/log_export.h"
#include "server/organization/log_query.h"
#include "server/organization/organization_endpoints.h"
#include "server/paging.h"
#include "server/query_fields.h"

namespace lockstep::server {

namespace {

using accounts::Access;
using accounts::Action;
using accounts::UsageFilter;

UsageFilter read_filter(QueryFields& query) {
  UsageFilter filter;
  filter.from_ms = read_time_ms(query, "from");
  filter.until_ms = read_time_ms(query, "until");
  filter.key_id = query.text("key_id");
  filter.model = query.text("model");
  filter.batch_id = query.text("batch_id");
  filter.lowest_status = query.integer("status_from", 100, 599);
  filter.highest_status = query.integer("status_to", 100, 599);
  filter.id_part = query.text("id");
  filter.cursor = query.text("cursor");
  filter.page_size = query.integer("limit", 1, 1000).value_or(filter.page_size);
  return filter;
}

std::unique_ptr<http::Reply> page_reply(const accounts::UsagePage& page) {
  ReplyJson data = ReplyJson::array();
  for (const accounts::UsageRecord& record : page.records) data.push_back(record_json(record));
  ReplyJson json = list_json(std::move(data), page.next_cursor.has_value());
  json["next_cursor"] = page.next_cursor ? ReplyJson(*page.next_cursor) : ReplyJson(nullptr);
  return json_reply(json);
}

std::unique_ptr<http::Reply> search(accounts::Accounts& accounts, const Inference& inference, Call& call) {
  QueryFields query(call.target);
  UsageFilter filter = read_filter(query);
  if (filter.model) filter.model = inference.own_name(*filter.model);
  const Access::Reach reach = read_reach(query);
  const size_t format = query.choice("format", {"json", "jsonl", "csv"}, 0);
  query.finish();
  const Access access(accounts, call.caller);
  if (format == 0) return page_reply(access.search_log(filter, reach));
  return export_log(access, filter, reach, format == 1 ? LogFormat::JsonLines : LogFormat::Csv);
}

ReplyJson body_json(const std::optional<std::string>& body) {
  return body ? ReplyJson(*body) : ReplyJson(nullptr);
}

}  // namespace

void add_log_endpoints(Router& router, accounts::Accounts& accounts, const Inference& inference) {
  router.add("GET", "/v1/organization/requests", Action::ReadUsage,
             [&accounts, &inference](Call& call) { return search(accounts, inference, call); });
  router.add("GET", "/v1/organization/requests/{request_id}", Action::ReadUsage, [&accounts](Call& call) {
    const accounts::UsageRecord record = Access(accounts, call.caller).log_record(call.parameters[0]);
    ReplyJson json = record_json(record);
    json["request_body"] = body_json(record.request_body);
    json["response_body"] = body_json(record.response_body);
    return json_reply(json);
  });
}

}  // namespace lockstep::server
