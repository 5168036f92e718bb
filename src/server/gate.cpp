#include "server/gate.h"

#include <boost/algorithm/string/predicate.hpp>

#include "accounts/calendar.h"
#include "server/api_error.h"

namespace lockstep::server {

std::optional<accounts::Caller> Gate::find(const http::Request& request) const {
  if (open_) return accounts_.first_owner();
  static constexpr std::string_view kScheme = "Bearer ";
  const std::string_view credentials = request.header("authorization");
  const bool bearer = boost::algorithm::istarts_with(credentials, kScheme);
  return accounts_.authenticate(bearer ? credentials.substr(kScheme.size()) : "", accounts::now_ms());
}

accounts::Caller Gate::admit(const http::Request& request, std::optional<accounts::Action> action) const {
  const std::optional<accounts::Caller> caller = find(request);
  if (!caller) {
    throw ApiError(401, "invalid_api_key", "", "Invalid API Key").with_header("www-authenticate", "Bearer");
  }
  if (action && !caller->may(*action)) {
    const accounts::Need need = accounts::need(*action);
    throw ApiError(403, "permission_denied", "",
                   fmt::format("You need the role '{}' and a key with the scope '{}' to {}.",
                               accounts::role_name(need.role), accounts::scope_name(need.scope),
                               accounts::action_name(*action)));
  }
  return *caller;
}

}  // namespace lockstep::server
