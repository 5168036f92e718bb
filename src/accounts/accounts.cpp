#include "accounts/accounts.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "accounts/access_error.h"
#include "accounts/calendar.h"
#include "accounts/names.h"
#include "accounts/secret.h"
#include "accounts/tables.h"
#include "accounts/usage.h"
#include "base/error.h"

namespace lockstep::accounts {
namespace {

Caller owner_in(database::Transaction& transaction, const std::string& organisation_id) {
  Caller caller;
  caller.organisation_id = organisation_id;
  caller.role = Role::Owner;
  caller.scopes = Scopes::all();
  for (const Member& member : tables::list_members(transaction, organisation_id)) {
    if (member.role == Role::Owner && caller.member_id.empty()) caller.member_id = member.id;
  }
  for (const Project& project : tables::list_projects(transaction, organisation_id)) {
    if (project.archived_at_ms || !caller.project_id.empty()) continue;
    caller.project_id = project.id;
    caller.store_bodies = project.settings.store_bodies;
    caller.performance = project.settings.performance;
  }
  // The rules of Access keep one of each.
  LOCKSTEP_CHECK(!caller.member_id.empty() && !caller.project_id.empty());
  return caller;
}

// How often other processes' changes are looked for.
constexpr std::chrono::milliseconds kRefreshPeriod(500);

// What callers are known by.
struct Known {
  std::unordered_map<std::string, tables::LiveKey> keys;  // by prefix
  std::optional<Caller> first_owner;
};

NewKey insert_first_key(database::Transaction& transaction, const std::string& project_id,
                        const std::string& owner_id) {
  Key key;
  key.project_id = project_id;
  key.name = "first key";
  key.scopes = Scopes::all();
  key.member_id = owner_id;
  key.made_by = owner_id;
  key.created_at_ms = now_ms();
  return tables::insert_key(transaction, std::move(key));
}

// All but the key.
NewOrganisation insert_new_organisation(database::Transaction& transaction, const std::string& name) {
  const int64_t now = now_ms();
  NewOrganisation made;
  made.organisation = tables::insert_organisation(transaction, name, now);
  ProjectSettings settings;
  settings.name = "default";
  made.project = tables::insert_project(transaction, made.organisation.id, settings, now);
  made.owner = tables::insert_member(transaction, made.organisation.id, "owner", Role::Owner, now);
  tables::changed(transaction);
  return made;
}

}  // namespace

struct Accounts::State {
  database::Database& database;
  Limiter limiter;
  Spending spending;

  // What was read at the last refresh. The mutex of refresh is held for its whole length, so that a refresh
  // that begins after a change is over has seen it; the other only to take or change the pointer.
  std::mutex refresh_mutex;
  int64_t version = 0;
  mutable std::mutex known_mutex;
  std::shared_ptr<const Known> known = std::make_shared<Known>();
  std::atomic<bool> reachable{true};

  std::mutex stop_mutex;
  std::condition_variable stopped;
  bool stop = false;
  std::thread watcher;

  explicit State(database::Database& the_database) : database(the_database) {}

  std::shared_ptr<const Known> known_now() const {
    const std::lock_guard lock(known_mutex);
    return known;
  }

  void refresh() {
    const std::lock_guard lock(refresh_mutex);
    try {
      read_changes();
      reachable = true;
    } catch (...) {
      reachable = false;
      throw;
    }
  }

  void read_changes() {
    struct Read {
      int64_t version;
      std::vector<MonthSpend> spend;
      std::vector<tables::LiveKey> keys;
      std::optional<Caller> first_owner;
      std::vector<Limit> limits;
      std::vector<SpendCap> caps;
    };
    Read read = database.read([&](database::Transaction& transaction) {
      Read result;
      result.version = tables::version(transaction);
      result.spend = usage_tables::month_spend(transaction, month_of(now_ms()));
      if (result.version == version) return result;
      result.keys = tables::live_keys(transaction);
      const std::vector<Organisation> organisations = tables::list_organisations(transaction);
      if (!organisations.empty()) result.first_owner = owner_in(transaction, organisations.front().id);
      result.limits = tables::all_limits(transaction);
      result.caps = tables::all_spend_caps(transaction);
      return result;
    });
    spending.note(read.spend);
    if (read.version == version) return;
    auto now_known = std::make_shared<Known>();
    for (tables::LiveKey& key : read.keys) {
      std::string prefix = key.prefix;
      now_known->keys.emplace(std::move(prefix), std::move(key));
    }
    now_known->first_owner = std::move(read.first_owner);
    limiter.configure(read.limits, steady_now_ms());
    spending.configure(std::move(read.caps));
    {
      const std::lock_guard lock(known_mutex);
      known = std::move(now_known);
    }
    version = read.version;
  }

  void watch() {
    std::unique_lock lock(stop_mutex);
    while (!stopped.wait_for(lock, kRefreshPeriod, [&] { return stop; })) {
      lock.unlock();
      try {
        refresh();
      } catch (const std::exception&) {
        // The next round tries again; database_reachable() tells whoever asks.
      }
      lock.lock();
    }
  }
};

Accounts::Accounts(database::Database& database) : state_(std::make_unique<State>(database)) {
  refresh();
  state_->watcher = std::thread([state = state_.get()] { state->watch(); });
}

Accounts::~Accounts() {
  {
    const std::lock_guard lock(state_->stop_mutex);
    state_->stop = true;
  }
  state_->stopped.notify_all();
  state_->watcher.join();
}

std::optional<NewKey> Accounts::first_start(bool with_key) {
  auto made = database().exclusive([&](database::Transaction& transaction) -> std::optional<NewKey> {
    if (!tables::any_organisation(transaction)) insert_new_organisation(transaction, "default");
    if (!with_key || tables::any_key(transaction)) return std::nullopt;
    const Caller owner = owner_in(transaction, tables::list_organisations(transaction).front().id);
    tables::changed(transaction);
    return insert_first_key(transaction, owner.project_id, owner.member_id);
  });
  refresh_after_change();
  return made;
}

NewOrganisation Accounts::make_organisation(const std::string& name) {
  check_name(name, "an organization");
  NewOrganisation made = database().write([&](database::Transaction& transaction) {
    NewOrganisation result = insert_new_organisation(transaction, name);
    result.key = insert_first_key(transaction, result.project.id, result.owner.id);
    return result;
  });
  refresh_after_change();
  return made;
}

std::vector<Organisation> Accounts::organisations() {
  return database().read(tables::list_organisations);
}

Caller Accounts::owner_of(const std::string& organisation_id) {
  return database().read([&](database::Transaction& transaction) {
    const auto organisation = tables::find_organisation(transaction, organisation_id);
    if (!organisation) refuse(Reason::NotFound, "There is no organization {}.", organisation_id);
    return owner_in(transaction, organisation->id);
  });
}

Caller Accounts::first_owner() const {
  const std::optional<Caller>& owner = state_->known_now()->first_owner;
  if (!owner) refuse(Reason::NotFound, "There is no organization.");
  return *owner;
}

std::optional<Caller> Accounts::authenticate(std::string_view secret, int64_t now_ms) const {
  const auto prefix = secret_prefix(secret);
  if (!prefix) return std::nullopt;
  const std::shared_ptr<const Known> known = state_->known_now();
  const auto found = known->keys.find(std::string(*prefix));
  const bool missing = found == known->keys.end();
  // Compared in any case, so that an unknown prefix takes as long as a wrong secret.
  const Hash256 expected = missing ? Hash256{} : found->second.hash;
  if (!equal_hashes(secret_hash(secret), expected) || missing) return std::nullopt;
  const tables::LiveKey& key = found->second;
  if (key.expires_at_ms && now_ms >= *key.expires_at_ms) return std::nullopt;
  return key.caller;
}

void Accounts::restore_limits(int64_t now_ms) {
  state_->limiter.restore(database().read([&](database::Transaction& transaction) {
    return usage_tables::past_uses(transaction, now_ms - kDay_ms);
  }));
}

void Accounts::refresh() {
  state_->refresh();
}

void Accounts::refresh_after_change() {
  try {
    refresh();
  } catch (const std::exception&) {
    // database_reachable() tells whoever asks.
  }
}

bool Accounts::database_reachable() const {
  return state_->reachable;
}

database::Database& Accounts::database() {
  return state_->database;
}

Limiter& Accounts::limiter() {
  return state_->limiter;
}

Spending& Accounts::spending() {
  return state_->spending;
}

}  // namespace lockstep::accounts
