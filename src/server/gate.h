// Who a request comes from.
#pragma once

#include <optional>

#include "accounts/accounts.h"
#include "server/router.h"

namespace lockstep::server {

// THREAD: any.
class Gate {
 public:
  // `open`: no keys are asked for, and all requests come as the first organisation's owner. `accounts` must
  // outlive the gate.
  Gate(accounts::Accounts& accounts, bool open) : accounts_(accounts), open_(open) {}

  // The holder of the key in "Authorization: Bearer KEY". Throws an ApiError for a missing or wrong key (401,
  // which does not tell the two apart) and for one that does not allow the action (403).
  accounts::Caller admit(const http::Request& request, std::optional<accounts::Action> action) const;
  // Throws the same 401 where admit() will. Asks no database.
  void require_key(const http::Request& request) const;

 private:
  accounts::Caller holder(const http::Request& request) const;

  accounts::Accounts& accounts_;
  const bool open_;
};

}  // namespace lockstep::server
