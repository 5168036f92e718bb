#include "server/organization/list_reply.h"

#include <algorithm>

#include "base/printable.h"
#include "server/api_error.h"
#include "server/paging.h"

namespace lockstep::server {

std::unique_ptr<http::Reply> list_reply(QueryFields& query, std::vector<ReplyJson> all) {
  const int64_t limit = query.integer("limit", 1, 100).value_or(20);
  const std::optional<std::string> after = query.text("after");
  query.finish();
  auto from = all.begin();
  if (after) {
    from = std::find_if(all.begin(), all.end(), [&](const ReplyJson& one) { return one["id"] == *after; });
    if (from == all.end()) bad_field("after", "there is no '{}' in this list", printable(*after));
    ++from;
  }
  const bool more = all.end() - from > limit;
  ReplyJson data = ReplyJson::array();
  std::move(from, more ? from + limit : all.end(), std::back_inserter(data));
  return json_reply(list_json(std::move(data), more));
}

}  // namespace lockstep::server
