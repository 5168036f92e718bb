#include "accounts/accounts.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "accounts/access_error.h"
#include "accounts/calendar.h"
#include "accounts/secret.h"
#include "accounts/tables.h"
#include "accounts/usage.h"
#include "base/error.h"

namespace lockstep::accounts {
namespace {

// How often other processes' changes are looked for.
constexpr std::chrono::milliseconds kRefreshPeriod(500);

using KeysByPrefix = std::unordered_map<std::string, tables::LiveKey>;

NewOrganisation insert_new_organisation(database::Transaction& transaction, const std::string& name) {
  const int64_t now = now_ms();
  NewOrganisation made;
  made.organisation = tables::insert_organisation(transaction, name, now);
  ProjectSettings settings;
  settings.name = "default";
  made.project = tables::insert_project(transaction, made.organisation.id, settings, now);
  made.owner = tables::insert_member(transaction, made.organisation.id, "owner", Role::Owner, now);
  Key key;
  key.project_id = made.project.id;
  key.name = "first key";
  key.scopes = Scopes::all();
  key.member_id = made.owner.id;
  key.made_by = made.owner.id;
  key.created_at_ms = now;
  made.key = tables::insert_key(transaction, std::move(key));
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
  mutable std::mutex keys_mutex;
  std::shared_ptr<const KeysByPrefix> keys = std::make_shared<KeysByPrefix>();
  std::atomic<bool> reachable{true};

  std::mutex stop_mutex;
  std::condition_variable stopped;
  bool stop = false;
  std::thread watcher;

  explicit State(database::Database& the_database) : database(the_database) {}

  std::shared_ptr<const KeysByPrefix> current_keys() const {
    const std::lock_guard lock(keys_mutex);
    return keys;
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
      std::vector<Limit> limits;
      std::vector<SpendCap> caps;
    };
    Read read = database.read([&](database::Transaction& transaction) {
      Read result;
      result.version = tables::version(transaction);
      result.spend = usage_tables::month_spend(transaction, month_of(now_ms()));
      if (result.version == version) return result;
      result.keys = tables::live_keys(transaction);
      result.limits = tables::all_limits(transaction);
      result.caps = tables::all_spend_caps(transaction);
      return result;
    });
    spending.note(read.spend);
    if (read.version == version) return;
    auto by_prefix = std::make_shared<KeysByPrefix>();
    for (tables::LiveKey& key : read.keys) {
      std::string prefix = key.prefix;
      by_prefix->emplace(std::move(prefix), std::move(key));
    }
    limiter.configure(read.limits);
    spending.configure(std::move(read.caps));
    {
      const std::lock_guard lock(keys_mutex);
      keys = std::move(by_prefix);
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

std::optional<NewOrganisation> Accounts::first_start() {
  auto made = database().exclusive([](database::Transaction& transaction) -> std::optional<NewOrganisation> {
    if (tables::any_organisation(transaction)) return std::nullopt;
    return insert_new_organisation(transaction, "default");
  });
  refresh();
  return made;
}

NewOrganisation Accounts::make_organisation(const std::string& name) {
  NewOrganisation made = database().write(
      [&](database::Transaction& transaction) { return insert_new_organisation(transaction, name); });
  refresh();
  return made;
}

std::vector<Organisation> Accounts::organisations() {
  return database().read(tables::list_organisations);
}

Caller Accounts::owner_of(const std::string& organisation_id) {
  return database().read([&](database::Transaction& transaction) {
    const auto organisation = tables::find_organisation(transaction, organisation_id);
    if (!organisation) refuse(Reason::NotFound, "There is no organisation {}.", organisation_id);
    Caller caller;
    caller.organisation_id = organisation->id;
    caller.role = Role::Owner;
    caller.scopes = Scopes::all();
    for (const Member& member : tables::list_members(transaction, organisation_id)) {
      if (member.role == Role::Owner && caller.member_id.empty()) caller.member_id = member.id;
    }
    for (const Project& project : tables::list_projects(transaction, organisation_id)) {
      if (project.archived_at_ms || !caller.project_id.empty()) continue;
      caller.project_id = project.id;
      caller.store_bodies = project.settings.store_bodies;
    }
    // The rules of Access keep one of each.
    LOCKSTEP_CHECK(!caller.member_id.empty() && !caller.project_id.empty());
    return caller;
  });
}

Caller Accounts::first_owner() {
  const std::vector<Organisation> all = organisations();
  if (all.empty()) refuse(Reason::NotFound, "There is no organisation.");
  return owner_of(all.front().id);
}

std::optional<Caller> Accounts::authenticate(std::string_view secret, int64_t now_ms) const {
  const auto prefix = secret_prefix(secret);
  if (!prefix) return std::nullopt;
  const auto keys = state_->current_keys();
  const auto found = keys->find(std::string(*prefix));
  // Compared in any case, so that an unknown prefix takes as long as a wrong secret.
  const Hash256 expected = found == keys->end() ? Hash256{} : found->second.hash;
  if (!equal_hashes(secret_hash(secret), expected) || found == keys->end()) return std::nullopt;
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
