#include "server/paging.h"

#include <fmt/format.h>

namespace lockstep::server {

Page read_page(QueryFields& query, int64_t otherwise, int64_t most) {
  return {.after = query.text("after"),
          .limit = query.integer("limit", 1, most).value_or(otherwise),
          .newest_first = query.choice("order", {"desc", "asc"}, 0) == 0};
}

std::string page_sql(const Page& page, size_t parameter) {
  const char* direction = page.newest_first ? "DESC" : "ASC";
  const std::string after =
      page.after ? fmt::format(" AND id {} ${}", page.newest_first ? "<" : ">", parameter) : "";
  return fmt::format("{} ORDER BY id {} LIMIT {}", after, direction, page.limit + 1);
}

ReplyJson list_json(ReplyJson data, bool has_more) {
  ReplyJson json;
  json["object"] = "list";
  json["first_id"] = data.empty() ? ReplyJson() : data.front().at("id");
  json["last_id"] = data.empty() ? ReplyJson() : data.back().at("id");
  json["has_more"] = has_more;
  json["data"] = std::move(data);
  return json;
}

}  // namespace lockstep::server
