// The accounts of a server: who has which key, and what the keys may use.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/caller.h"
#include "accounts/entities.h"
#include "accounts/limits.h"
#include "accounts/spending.h"
#include "database/database.h"

namespace lockstep::accounts {

// An organisation that was just made, with its first project, owner and key.
struct NewOrganisation {
  Organisation organisation;
  Project project;
  Member owner;
  NewKey key;  // all scopes
};

// Keys, limits and caps are held in memory as the database had them at the last refresh: after every change
// made here at once, after changes by other processes within a second. While the database cannot be reached,
// what was known last counts (an expiry is always obeyed). THREAD: any.
class Accounts {
 public:
  // `database` has the tables of schema() and outlives this. Starts a thread that looks for others' changes.
  explicit Accounts(database::Database& database);
  ~Accounts();
  Accounts(const Accounts&) = delete;
  Accounts& operator=(const Accounts&) = delete;

  // Makes an organisation "default" if there is none at all, and, unless keys are of no use to this server, a
  // key of the first owner if there has never been one, which it gives this one time; also when several
  // servers start together.
  std::optional<NewKey> first_start(bool with_key = true);
  // For whoever holds the database itself (the command line): no key is asked for. A name as in access.h.
  NewOrganisation make_organisation(const std::string& name);
  // All, the oldest first; also for the command line.
  std::vector<Organisation> organisations();
  // The owner that an organisation has had longest, with all scopes and in its first project: for the command
  // line, when all keys are lost. Throws NotFound.
  Caller owner_of(const std::string& organisation_id);
  // The owner of the organisation that is there longest: for a server without keys. Throws NotFound. No
  // database is asked.
  Caller first_owner() const;

  // Who holds the key; empty if there is no such key, or it is revoked or expired. The time it takes does not
  // depend on the secret part. No database is asked.
  std::optional<Caller> authenticate(std::string_view secret, int64_t now_ms) const;

  // Fills the limiter with what the log says of the last day.
  void restore_limits(int64_t now_ms);
  // Reads what has changed in the database. Called by itself.
  void refresh();
  // The same after a change that is committed: where the database is gone again, the next look will see it,
  // and what was changed must not seem to have failed.
  void refresh_after_change();
  // Whether the last refresh reached the database.
  bool database_reachable() const;

  database::Database& database();
  Limiter& limiter();
  Spending& spending();

 private:
  struct State;

  std::unique_ptr<State> state_;
};

}  // namespace lockstep::accounts
