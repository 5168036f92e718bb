// Who sends a request.
#pragma once

#include <string>

#include "accounts/permissions.h"

namespace lockstep::accounts {

// What Accounts::authenticate finds out about a key. A key acts for the member for whom it was made: with the
// role that the member has now, as far as the key's scopes allow.
struct Caller {
  std::string organisation_id;
  std::string project_id;
  std::string key_id;
  std::string member_id;
  Role role = Role::Reader;
  Scopes scopes;
  bool store_bodies = false;  // the project's setting: texts of requests go into the log
  bool performance = false;   // the project's setting: it may ask for that tier

  bool may(Action action) const { return permitted(role, scopes, action); }
};

}  // namespace lockstep::accounts
