// For tests: accounts in a new database of each kind.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "accounts/access.h"
#include "accounts/accounts.h"
#include "accounts/calendar.h"
#include "accounts/schema.h"
#include "database/test_databases.h"

namespace lockstep::accounts {

class AccountsFixture : public testing::TestWithParam<database::Dialect> {
 protected:
  AccountsFixture() { database::migrate(database_, schema()); }

  Caller caller_of(const NewOrganisation& made) {
    return *accounts().authenticate(made.key.secret, now_ms());
  }
  // All rights in an organisation of its own.
  Access new_owner(const std::string& name = "test") {
    return {accounts(), caller_of(accounts().make_organisation(name))};
  }
  Accounts& accounts() {
    if (!accounts_) accounts_.emplace(database_);
    return *accounts_;
  }

  database::TestPlace place_{GetParam()};
  database::Database database_{place_.place()};

 private:
  std::optional<Accounts> accounts_;
};

// The reason for which `action` is refused; empty if it is not.
template <class Action>
std::optional<Reason> reason_of(Action&& action) {
  try {
    action();
  } catch (const AccessError& error) {
    return error.reason();
  }
  return std::nullopt;
}

}  // namespace lockstep::accounts
