// What the queries of the log and of usage have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "accounts/access.h"
#include "server/query_fields.h"

namespace lockstep::server {

// A time in Unix seconds, up to the year 9999, as milliseconds.
std::optional<int64_t> read_time_ms(QueryFields& query, std::string_view name);

// "reach": "project", where it is missing, or "organization".
accounts::Access::Reach read_reach(QueryFields& query);

}  // namespace lockstep::server
