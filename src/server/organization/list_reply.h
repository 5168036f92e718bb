// Lists in pages, as OpenAI has them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "server/json_reply.h"
#include "server/query_fields.h"

namespace lockstep::server {

// {"object": "list", "data", "first_id", "last_id", "has_more"} of objects with an "id": those after the one
// that the query's `after` names, at most `limit` (1 to 100, 20 where it is missing). Reads both, and
// finishes the query.
std::unique_ptr<http::Reply> list_reply(QueryFields& query, std::vector<ReplyJson> all);

template <class Entity, class ToJson>
std::unique_ptr<http::Reply> list_reply(QueryFields& query, const std::vector<Entity>& all,
                                        ToJson&& to_json) {
  std::vector<ReplyJson> list;
  for (const Entity& entity : all) list.push_back(to_json(entity));
  return list_reply(query, std::move(list));
}

}  // namespace lockstep::server
