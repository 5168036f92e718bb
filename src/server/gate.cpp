#include "server/gate.h"

#include <boost/algorithm/string/predicate.hpp>

#include "accounts/calendar.h"
#include "server/api_error.h"

namespace lockstep::server {

accounts::Caller Gate::admit(const http::Request& request, accounts::Action needed) const {
  static constexpr std::string_view kScheme = "Bearer ";
  std::string_view key = request.header("authorization");
  key = boost::algorithm::istarts_with(key, kScheme) ? key.substr(kScheme.size()) : std::string_view();
  std::optional<accounts::Caller> caller = everyone_;
  if (!caller) caller = accounts_.authenticate(key, accounts::now_ms());
  if (!caller) {
    throw ApiError(401, "invalid_api_key", "", "Invalid API Key").with_header("www-authenticate", "Bearer");
  }
  if (!caller->may(needed)) {
    const accounts::Need need = accounts::need(needed);
    throw ApiError(403, "permission_denied", "",
                   fmt::format("You need the role '{}' and a key with the scope '{}' to {}.",
                               accounts::role_name(need.role), accounts::scope_name(need.scope),
                               accounts::action_name(needed)));
  }
  return *caller;
}

}  // namespace lockstep::server
