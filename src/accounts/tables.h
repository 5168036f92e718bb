// Rows of the tables of accounts, for Accounts and Access. For this folder only: no permission is asked here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "accounts/entities.h"
#include "accounts/spending.h"
#include "base/hash.h"
#include "database/database.h"

namespace lockstep::accounts::tables {

using database::Transaction;

// Makes the next refresh of every server read the tables again; part of every transaction that changes them.
void changed(Transaction& transaction);
int64_t version(Transaction& transaction);

// Rows of one organisation. The functions that find one give nothing if it is another organisation's.
Organisation insert_organisation(Transaction& transaction, const std::string& name, int64_t now_ms);
std::optional<Organisation> find_organisation(Transaction& transaction, const std::string& id);
std::vector<Organisation> list_organisations(Transaction& transaction);
bool any_organisation(Transaction& transaction);
// Also of keys that are revoked.
bool any_key(Transaction& transaction);

Project insert_project(Transaction& transaction, const std::string& organisation_id,
                       const ProjectSettings& settings, int64_t now_ms);
std::optional<Project> find_project(Transaction& transaction, const std::string& organisation_id,
                                    const std::string& id);
// Archived ones too; in the order in which they were made, as all lists here.
std::vector<Project> list_projects(Transaction& transaction, const std::string& organisation_id);

Member insert_member(Transaction& transaction, const std::string& organisation_id, const std::string& name,
                     Role role, int64_t now_ms);
// Those that were removed are not found.
std::optional<Member> find_member(Transaction& transaction, const std::string& organisation_id,
                                  const std::string& id);
std::vector<Member> list_members(Transaction& transaction, const std::string& organisation_id);

// Stores the hash of a new secret.
NewKey insert_key(Transaction& transaction, Key key);
std::optional<Key> find_key(Transaction& transaction, const std::string& organisation_id,
                            const std::string& id);
std::vector<Key> list_keys(Transaction& transaction, const std::string& organisation_id);

void store_limit(Transaction& transaction, const std::string& organisation_id, const Limit& limit);
std::vector<Limit> list_limits(Transaction& transaction, const std::string& organisation_id);
std::vector<SpendCap> list_spend_caps(Transaction& transaction, const std::string& organisation_id);
// Of all organisations, for the limiter.
std::vector<Limit> all_limits(Transaction& transaction);
std::vector<SpendCap> all_spend_caps(Transaction& transaction);

// A key that is in force, and who it is.
struct LiveKey {
  std::string prefix;
  Hash256 hash;
  std::optional<int64_t> expires_at_ms;
  Caller caller;
};
std::vector<LiveKey> live_keys(Transaction& transaction);

}  // namespace lockstep::accounts::tables
