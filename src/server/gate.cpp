#include "server/gate.h"

#include <boost/algorithm/string/predicate.hpp>

#include "accounts/calendar.h"
#include "server/api_error.h"

namespace lockstep::server {

accounts::Caller Gate::holder(const http::Request& request) const {
  static constexpr std::string_view kScheme = "Bearer ";
  const std::string_view credentials = request.header("authorization");
  const bool bearer = boost::algorithm::istarts_with(credentials, kScheme);
  const std::optional<accounts::Caller> caller =
      accounts_.authenticate(bearer ? credentials.substr(kScheme.size()) : "", accounts::now_ms());
  if (caller) return *caller;
  // Clients tell the error by the words of the cloud that they were written for.
  const char* words = is_groq_target(request.target) ? "Invalid API Key" : "Incorrect API key provided.";
  throw ApiError(401, "invalid_api_key", "", words).with_header("www-authenticate", "Bearer");
}

void Gate::require_key(const http::Request& request) const {
  if (!open_) holder(request);
}

accounts::Caller Gate::admit(const http::Request& request, std::optional<accounts::Action> action) const {
  accounts::Caller caller = open_ ? accounts_.first_owner() : holder(request);
  if (action && !caller.may(*action)) {
    const accounts::Need need = accounts::need(*action);
    throw ApiError(403, "permission_denied", "",
                   fmt::format("You need the role '{}' and a key with the scope '{}' to {}.",
                               accounts::role_name(need.role), accounts::scope_name(need.scope),
                               accounts::action_name(*action)));
  }
  return caller;
}

}  // namespace lockstep::server
