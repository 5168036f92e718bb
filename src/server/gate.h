// Who a request comes from.
#pragma once

#include <optional>

#include "accounts/accounts.h"
#include "server/router.h"

namespace lockstep::server {

// THREAD: any.
class Gate {
 public:
  // `everyone`: as whom requests without a key come; none: they are refused. `accounts` must outlive the
  // gate.
  Gate(const accounts::Accounts& accounts, std::optional<accounts::Caller> everyone)
      : accounts_(accounts), everyone_(std::move(everyone)) {}

  // The holder of the key in "Authorization: Bearer KEY". Throws an ApiError for a missing or wrong key (401,
  // which does not tell the two apart) and for one that does not allow what is needed (403).
  accounts::Caller admit(const http::Request& request, accounts::Action needed) const;

 private:
  const accounts::Accounts& accounts_;
  const std::optional<accounts::Caller> everyone_;
};

}  // namespace lockstep::server
