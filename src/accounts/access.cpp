#include "accounts/access.h"

#include <algorithm>
#include <map>

#include "accounts/calendar.h"
#include "accounts/names.h"
#include "accounts/tables.h"
#include "base/printable.h"

namespace lockstep::accounts {
namespace {

using database::Transaction;

// The longest time of which usage is summed by hours and by days.
constexpr int64_t kMostDaysOfHours = 31;
constexpr int64_t kMostDaysOfDays = 366;

// The beginning of a sentence about the field of a request that names something; empty: its path does.
std::string place_of(std::string_view field) {
  return field.empty() ? "" : fmt::format("'{}' : ", field);
}

template <class T>
T found(std::optional<T> entity, std::string_view what, const std::string& id, std::string_view field = "") {
  if (!entity) {
    refuse(Reason::NotFound, "{}There is no {} '{}' in this organization.", place_of(field), what,
           printable(id));
  }
  return *std::move(entity);
}

void check_days(int64_t days, std::string_view field) {
  if (days < 1 || days > kProjectDays_max)
    refuse(Reason::Invalid, "'{}' : {} is not 1 to {} days.", field, days, kProjectDays_max);
}

void check_settings(const ProjectSettings& settings) {
  check_name(settings.name, "a project");
  check_days(settings.body_days, "body_days");
  check_days(settings.log_days, "log_days");
}

void check_free_name(Transaction& transaction, const std::string& organisation_id, const std::string& name,
                     const std::string& own_id) {
  for (const Project& other : tables::list_projects(transaction, organisation_id)) {
    if (other.settings.name == name && other.id != own_id && !other.archived_at_ms) {
      refuse(Reason::Conflict, "There is a project '{}' already; choose another name.", name);
    }
  }
}

Project live_project(Transaction& transaction, const std::string& organisation_id, const std::string& id,
                     std::string_view field = "") {
  Project project = found(tables::find_project(transaction, organisation_id, id), "project", id, field);
  if (project.archived_at_ms) {
    refuse(Reason::Conflict, "{}The project '{}' is archived.", place_of(field), project.settings.name);
  }
  return project;
}

// Who else an owner's duties fall to when `member` goes.
void check_other_owner(Transaction& transaction, const Member& member) {
  if (member.role != Role::Owner) return;
  for (const Member& other : tables::list_members(transaction, member.organisation_id)) {
    if (other.role == Role::Owner && other.id != member.id) return;
  }
  refuse(Reason::Conflict, "'{}' is the last owner of the organization; make another member an owner first.",
         member.name);
}

void check_limit_values(const Limit& limit) {
  if (limit.model.empty() || limit.model.size() > kNameBytes_max || !is_utf8(limit.model)) {
    refuse(Reason::Invalid, "'model' : a limit is for a model's name, or '*' for all models together.");
  }
  for (const LimitKind kind : kLimitKinds) {
    const std::optional<int64_t>& value = limit.values.of(kind);
    if (value && (*value < 0 || *value > kLargestLimit)) {
      refuse(Reason::Invalid, "The limit of {} is {}, but must be 0 to {}.", limit_kind_name(kind), *value,
             kLargestLimit);
    }
  }
}

constexpr std::string_view kSubjectField = "subject_id";  // of requests

// Throws if the subject is not the organisation's. Gives the subjects above it.
std::vector<std::string> subjects_above(Transaction& transaction, const std::string& organisation_id,
                                        Subject subject, const std::string& subject_id) {
  switch (subject) {
    case Subject::Organisation:
      if (subject_id != organisation_id) {
        found(std::optional<Organisation>(), "organization", subject_id, kSubjectField);
      }
      return {};
    case Subject::Project:
      live_project(transaction, organisation_id, subject_id, kSubjectField);
      return {organisation_id};
    case Subject::Key:
      break;
  }
  const Key key =
      found(tables::find_key(transaction, organisation_id, subject_id), "key", subject_id, kSubjectField);
  return {organisation_id, key.project_id};
}

void store_checked_limit(Transaction& transaction, const std::string& organisation_id, const Limit& limit) {
  check_limit_values(limit);
  const auto above = subjects_above(transaction, organisation_id, limit.subject, limit.subject_id);
  for (const Limit& other : tables::list_limits(transaction, organisation_id)) {
    if (other.model != limit.model || std::find(above.begin(), above.end(), other.subject_id) == above.end())
      continue;
    for (const LimitKind kind : kLimitKinds) {
      const auto& value = limit.values.of(kind);
      const auto& bound = other.values.of(kind);
      if (value && bound && *value > *bound) {
        refuse(Reason::Invalid, "The limit of {} is {}, but at most the {}'s {}.", limit_kind_name(kind),
               *value, subject_name(other.subject), *bound);
      }
    }
  }
  tables::store_limit(transaction, organisation_id, limit);
}

// What a new key has no limit for it has from the key that makes it; more is refused.
void inherit_limits(const Limit& own, LimitValues& values) {
  for (const LimitKind kind : kLimitKinds) {
    const std::optional<int64_t>& bound = own.values.of(kind);
    std::optional<int64_t>& value = values.of(kind);
    if (!bound) continue;
    if (value && *value > *bound) {
      refuse(Reason::Forbidden, "'limits' : a key cannot give more than it has, which is {} {} for '{}'.",
             *bound, limit_kind_name(kind), own.model);
    }
    value = value.value_or(*bound);
  }
}

void revoke_keys(Transaction& transaction, std::string_view column, const std::string& id) {
  transaction.execute(
      fmt::format("DELETE FROM limits WHERE subject_id IN (SELECT id FROM keys WHERE {} = $1)", column),
      {id});
  transaction.execute(
      fmt::format("UPDATE keys SET revoked_at_ms = $1 WHERE {} = $2 AND revoked_at_ms IS NULL", column),
      {now_ms(), id});
}

}  // namespace

void Access::require(Action action) const {
  if (caller_.may(action)) return;
  const Need needed = need(action);
  refuse(Reason::Forbidden, "To {} needs a key with the scope '{}' of a member who is {} or more.",
         action_name(action), scope_name(needed.scope), role_name(needed.role));
}

template <class Function>
auto Access::read(Action action, Function&& function) const {
  require(action);
  return accounts_.database().read(std::forward<Function>(function));
}

template <class Function>
auto Access::change(Action action, Function&& function) {
  require(action);
  const auto changing = [&](Transaction& transaction) {
    tables::changed(transaction);
    return function(transaction);
  };
  if constexpr (std::is_void_v<std::invoke_result_t<Function&, Transaction&>>) {
    accounts_.database().write(changing);
    accounts_.refresh_after_change();
  } else {
    auto result = accounts_.database().write(changing);
    accounts_.refresh_after_change();
    return result;
  }
}

// -------------------------------------------------------------------------------- organisation

Project Access::own_project() const {
  return read(Action::ReadUsage, [&](Transaction& transaction) {
    return found(tables::find_project(transaction, caller_.organisation_id, caller_.project_id), "project",
                 caller_.project_id);
  });
}

Organisation Access::organisation() const {
  return read(Action::ReadOrganisation, [&](Transaction& transaction) {
    return found(tables::find_organisation(transaction, caller_.organisation_id), "organization",
                 caller_.organisation_id);
  });
}

std::vector<Project> Access::projects() const {
  return read(Action::ReadOrganisation, [&](Transaction& transaction) {
    return tables::list_projects(transaction, caller_.organisation_id);
  });
}

Project Access::project(const std::string& project_id) const {
  return read(Action::ReadOrganisation, [&](Transaction& transaction) {
    return found(tables::find_project(transaction, caller_.organisation_id, project_id), "project",
                 project_id);
  });
}

std::vector<Member> Access::members() const {
  return read(Action::ReadOrganisation, [&](Transaction& transaction) {
    return tables::list_members(transaction, caller_.organisation_id);
  });
}

Member Access::member(const std::string& member_id) const {
  return read(Action::ReadOrganisation, [&](Transaction& transaction) {
    return found(tables::find_member(transaction, caller_.organisation_id, member_id), "member", member_id);
  });
}

std::vector<Key> Access::keys() const {
  return read(Action::ReadOrganisation, [&](Transaction& transaction) {
    return tables::list_keys(transaction, caller_.organisation_id);
  });
}

Key Access::key(const std::string& key_id) const {
  return read(Action::ReadOrganisation, [&](Transaction& transaction) {
    return found(tables::find_key(transaction, caller_.organisation_id, key_id), "key", key_id);
  });
}

std::vector<Limit> Access::limits() const {
  return read(Action::ReadOrganisation, [&](Transaction& transaction) {
    return tables::list_limits(transaction, caller_.organisation_id);
  });
}

std::vector<SpendCap> Access::spend_caps() const {
  return read(Action::ReadOrganisation, [&](Transaction& transaction) {
    return tables::list_spend_caps(transaction, caller_.organisation_id);
  });
}

// ------------------------------------------------------------------------------------ projects

Project Access::make_project(const ProjectSettings& settings) {
  if (settings.performance) require(Action::ManageLimits);
  return change(Action::ManageProjects, [&](Transaction& transaction) {
    check_settings(settings);
    check_free_name(transaction, caller_.organisation_id, settings.name, "");
    return tables::insert_project(transaction, caller_.organisation_id, settings, now_ms());
  });
}

Project Access::change_project(const std::string& project_id, const ProjectChange& wanted) {
  if (wanted.performance) require(Action::ManageLimits);
  return change(Action::ManageProjects, [&](Transaction& transaction) {
    Project project = live_project(transaction, caller_.organisation_id, project_id);
    project.settings.change(wanted);
    const ProjectSettings& settings = project.settings;
    check_settings(settings);
    check_free_name(transaction, caller_.organisation_id, settings.name, project_id);
    transaction.execute(
        "UPDATE projects SET name = $1, store_bodies = $2, body_days = $3, log_days = $4, performance = $5 "
        "WHERE id = $6",
        {settings.name, int64_t{settings.store_bodies}, settings.body_days, settings.log_days,
         int64_t{settings.performance}, project.id});
    return project;
  });
}

void Access::archive_project(const std::string& project_id) {
  change(Action::ManageProjects, [&](Transaction& transaction) {
    const Project project = live_project(transaction, caller_.organisation_id, project_id);
    if (project.id == caller_.project_id) {
      refuse(Reason::Conflict, "The project '{}' is that of the key that asks; use a key of another project.",
             project.settings.name);
    }
    revoke_keys(transaction, "project_id", project.id);
    transaction.execute("UPDATE projects SET archived_at_ms = $1 WHERE id = $2", {now_ms(), project.id});
  });
}

// ------------------------------------------------------------------------------------- members

Member Access::add_member(const std::string& name, Role role) {
  return change(Action::ManageMembers, [&](Transaction& transaction) {
    check_name(name, "a member");
    return tables::insert_member(transaction, caller_.organisation_id, name, role, now_ms());
  });
}

Member Access::change_member(const std::string& member_id, Role role) {
  return change(Action::ManageMembers, [&](Transaction& transaction) {
    Member member =
        found(tables::find_member(transaction, caller_.organisation_id, member_id), "member", member_id);
    if (role != Role::Owner) check_other_owner(transaction, member);
    member.role = role;
    transaction.execute("UPDATE members SET role = $1 WHERE id = $2", {role_name(role), member.id});
    return member;
  });
}

void Access::remove_member(const std::string& member_id) {
  change(Action::ManageMembers, [&](Transaction& transaction) {
    const Member member =
        found(tables::find_member(transaction, caller_.organisation_id, member_id), "member", member_id);
    check_other_owner(transaction, member);
    revoke_keys(transaction, "member_id", member.id);
    transaction.execute("UPDATE members SET removed_at_ms = $1 WHERE id = $2", {now_ms(), member.id});
  });
}

// ---------------------------------------------------------------------------------------- keys

NewKey Access::make_key(const KeyRequest& request) {
  if (request.member_id && *request.member_id != caller_.member_id) require(Action::ManageMembers);
  if (request.project_id && *request.project_id != caller_.project_id) require(Action::ManageMembers);
  return change(Action::ManageKeys, [&](Transaction& transaction) {
    const int64_t now = now_ms();
    check_name(request.name, "a key");
    if (request.scopes.empty())
      refuse(Reason::Invalid, "'scopes' : a key needs at least one of inference, files, read, admin.");
    if (!caller_.scopes.contains(request.scopes)) {
      refuse(Reason::Forbidden, "'scopes' : a key cannot give more than it has, which is {}.",
             caller_.scopes.text());
    }
    if (request.expires_at_ms && *request.expires_at_ms <= now) {
      refuse(Reason::Invalid, "'expires_at' : the time is in the past.");
    }
    check_expiry(transaction, request);
    Key key;
    key.project_id = live_project(transaction, caller_.organisation_id,
                                  request.project_id.value_or(caller_.project_id), "project_id")
                         .id;
    const std::string member_id = request.member_id.value_or(caller_.member_id);
    key.member_id = found(tables::find_member(transaction, caller_.organisation_id, member_id), "member",
                          member_id, "member_id")
                        .id;
    key.name = request.name;
    key.scopes = request.scopes;
    key.made_by = caller_.key_id.empty() ? caller_.member_id : caller_.key_id;
    key.created_at_ms = now;
    key.expires_at_ms = request.expires_at_ms;
    NewKey made = tables::insert_key(transaction, std::move(key));
    std::map<std::string, LimitValues> limits(request.limits.begin(), request.limits.end());
    for (const Limit& own : tables::list_limits(transaction, caller_.organisation_id)) {
      if (own.subject_id != caller_.key_id) continue;
      inherit_limits(own, limits[own.model]);
    }
    for (const auto& [model, values] : limits) {
      store_checked_limit(transaction, caller_.organisation_id, {Subject::Key, made.key.id, model, values});
    }
    return made;
  });
}

void Access::check_expiry(Transaction& transaction, const KeyRequest& request) const {
  if (caller_.key_id.empty()) return;
  const Key own =
      found(tables::find_key(transaction, caller_.organisation_id, caller_.key_id), "key", caller_.key_id);
  if (own.expires_at_ms && (!request.expires_at_ms || *request.expires_at_ms > *own.expires_at_ms)) {
    refuse(Reason::Forbidden,
           "'expires_at' : a key cannot make one that outlives it, so at most {} s since 1970.",
           *own.expires_at_ms / kSecond_ms);
  }
}

void Access::revoke_key(const std::string& key_id) {
  change(Action::ManageKeys, [&](Transaction& transaction) {
    const Key key = found(tables::find_key(transaction, caller_.organisation_id, key_id), "key", key_id);
    const auto member = tables::find_member(transaction, caller_.organisation_id, key.member_id);
    if (member && member->role > caller_.role) {
      refuse(Reason::Forbidden, "The key '{}' acts for a member who is {}; only such a member may revoke it.",
             key.name, role_name(member->role));
    }
    revoke_keys(transaction, "id", key.id);
  });
}

// -------------------------------------------------------------------------------------- limits

void Access::set_limit(const Limit& limit) {
  change(Action::ManageLimits,
         [&](Transaction& transaction) { store_checked_limit(transaction, caller_.organisation_id, limit); });
}

void Access::set_spend_cap(Subject subject, const std::string& subject_id, std::optional<NanoUsd> month_cap) {
  change(Action::ManageLimits, [&](Transaction& transaction) {
    if (subject == Subject::Key)
      refuse(Reason::Invalid, "A spend cap is for an organisation or a project, not for a key.");
    if (month_cap && *month_cap < 0) refuse(Reason::Invalid, "A spend cap is 0 dollars or more.");
    subjects_above(transaction, caller_.organisation_id, subject, subject_id);
    transaction.execute("DELETE FROM spend_caps WHERE subject_id = $1", {subject_id});
    if (!month_cap) return;
    transaction.execute(
        "INSERT INTO spend_caps (organisation_id, subject, subject_id, month_cap) VALUES ($1, $2, $3, $4)",
        {caller_.organisation_id, subject_name(subject), subject_id, *month_cap});
  });
}

// --------------------------------------------------------------------------------------- usage

namespace {

Action reading(Access::Reach reach) {
  return reach == Access::Reach::Organisation ? Action::ReadOrganisation : Action::ReadUsage;
}

usage_tables::Owner owner(const Caller& caller, Access::Reach reach) {
  if (reach == Access::Reach::Organisation) return {caller.organisation_id, std::nullopt};
  return {caller.organisation_id, caller.project_id};
}

}  // namespace

UsagePage Access::search_log(const UsageFilter& filter, Reach reach) const {
  return read(reading(reach), [&](Transaction& transaction) {
    return usage_tables::search(transaction, owner(caller_, reach), filter);
  });
}

UsageRecord Access::log_record(const std::string& request_id) const {
  return read(Action::ReadUsage, [&](Transaction& transaction) {
    auto record = usage_tables::find(transaction, owner(caller_, Reach::Project), request_id);
    if (!record)
      refuse(Reason::NotFound, "There is no request '{}' in this project's log.", printable(request_id));
    return *std::move(record);
  });
}

std::vector<UsageSum> Access::usage(Period period, GroupBy group, int64_t from_ms, int64_t until_ms,
                                    Reach reach) const {
  const int64_t most_days = period == Period::Hour ? kMostDaysOfHours : kMostDaysOfDays;
  if (from_ms < 0 || until_ms < from_ms || until_ms - from_ms > most_days * kDay_ms) {
    refuse(Reason::Invalid, "Usage is summed over 0 to {} days by {}, from a time since 1970 to a later one.",
           most_days, period == Period::Hour ? "hours" : "days");
  }
  return read(reading(reach), [&](Transaction& transaction) {
    return usage_tables::sums(transaction, owner(caller_, reach), period, group, from_ms, until_ms);
  });
}

}  // namespace lockstep::accounts
