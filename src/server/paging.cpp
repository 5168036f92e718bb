#include "server/paging.h"

#include <algorithm>
#include <charconv>

#include "server/api_error.h"

namespace lockstep::server {

void check_query(const http::Target& target, std::initializer_list<std::string_view> names,
                 std::string_view repeated) {
  std::vector<std::string> seen;
  for (const auto& [name, value] : target.fields()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw ApiError(
          400, "", name,
          fmt::format("the query's field '{}' is unknown; known are {}", name, fmt::join(names, ", ")));
    }
    if (name != repeated && std::find(seen.begin(), seen.end(), name) != seen.end()) {
      bad_field(name, "the query has it twice; say it once");
    }
    seen.push_back(name);
  }
}

Page read_page(const http::Target& target, int64_t otherwise, int64_t most) {
  Page page;
  page.after = target.find("after");
  page.limit = otherwise;
  if (const std::optional<std::string> limit = target.find("limit")) {
    const char* end = limit->data() + limit->size();
    const auto parsed = std::from_chars(limit->data(), end, page.limit);
    if (parsed.ec != std::errc() || parsed.ptr != end || page.limit < 1 || page.limit > most) {
      bad_field("limit", "value must be an integer from 1 to {}", most);
    }
  }
  if (const std::optional<std::string> order = target.find("order")) {
    if (*order != "asc" && *order != "desc") bad_field("order", "value must be 'asc' or 'desc'");
    page.newest_first = *order == "desc";
  }
  return page;
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
