#include "server/organization/log_query.h"

#include "accounts/calendar.h"

namespace lockstep::server {

using accounts::Access;

std::optional<int64_t> read_time_ms(QueryFields& query, std::string_view name) {
  const std::optional<int64_t> time_s = query.integer(name, 0, accounts::kTime_s_max);
  if (!time_s) return std::nullopt;
  return *time_s * accounts::kSecond_ms;
}

Access::Reach read_reach(QueryFields& query) {
  const bool project = query.choice("reach", {"project", "organization"}, 0) == 0;
  return project ? Access::Reach::Project : Access::Reach::Organisation;
}

}  // namespace lockstep::server
