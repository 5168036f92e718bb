// Pages of lists: what a client asks for in a query, and the object that tells one page.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/json_reply.h"
#include "server/query_fields.h"

namespace lockstep::server {

// Ids sort as they were made, so that a page begins where the last one's id ends.
struct Page {
  std::optional<std::string> after = {};  // an id
  int64_t limit = 20;
  bool newest_first = true;
};

// Rows of a page, and whether more follow.
template <class Row>
struct PageOf {
  std::vector<Row> rows;
  bool has_more = false;
};

// Of the rows that page_sql() finds.
template <class Row, class DatabaseRows, class Read>
PageOf<Row> page_of(const DatabaseRows& found, const Page& page, Read read) {
  PageOf<Row> result;
  for (const auto& row : found) {
    result.has_more = result.rows.size() == static_cast<size_t>(page.limit);
    if (!result.has_more) result.rows.push_back(read(row));
  }
  return result;
}

// Takes `limit` (1 to `most`, `otherwise` if left out), `after` and `order` ("asc", "desc") from a query.
Page read_page(QueryFields& query, int64_t otherwise, int64_t most);

// "ORDER BY id DESC LIMIT 21", and the condition before it: " AND id < $2", where `after` is parameter
// `parameter`. One row more than the page has: it tells whether there is one.
std::string page_sql(const Page& page, size_t parameter);

// {"object":"list","data":[...],"first_id","last_id","has_more"}; what is in `data` has an "id".
ReplyJson list_json(ReplyJson data, bool has_more);

}  // namespace lockstep::server
