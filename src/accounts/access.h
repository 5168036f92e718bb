// What one caller may see and change.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "accounts/access_error.h"
#include "accounts/accounts.h"
#include "accounts/entities.h"
#include "accounts/spending.h"
#include "accounts/usage.h"

namespace lockstep::accounts {

// The only way to an organisation's data. Every function asks for the caller's permission (permissions.h) and
// reaches the rows of the caller's organisation only; those of the log and of usage that are not said to be
// the organisation's, of the caller's project only. Throws AccessError: Forbidden; NotFound also for what is
// another's; Invalid; Conflict. Changes are in force when a function returns. Cheap to make: one for a
// request. THREAD: any.
class Access {
 public:
  Access(Accounts& accounts, Caller caller) : accounts_(accounts), caller_(std::move(caller)) {}

  const Caller& caller() const { return caller_; }
  // Throws Forbidden with a sentence that says what is missing.
  void require(Action action) const;

  // The caller's project. (ReadUsage)
  Project own_project() const;

  // ReadOrganisation
  Organisation organisation() const;
  std::vector<Project> projects() const;
  Project project(const std::string& project_id) const;
  std::vector<Member> members() const;
  Member member(const std::string& member_id) const;
  std::vector<Key> keys() const;
  Key key(const std::string& key_id) const;
  std::vector<Limit> limits() const;
  std::vector<SpendCap> spend_caps() const;

  // ManageProjects. Names are 1 to 200 bytes; no two projects that are not archived have the same. Who says
  // something about `performance` also needs ManageLimits.
  Project make_project(const ProjectSettings& settings);
  Project change_project(const std::string& project_id, const ProjectChange& wanted);
  // Revokes its keys. The caller's own project is a Conflict.
  void archive_project(const std::string& project_id);

  // ManageMembers. The last owner stays one (Conflict). A member that goes takes the keys that act for it
  // along.
  Member add_member(const std::string& name, Role role);
  Member change_member(const std::string& member_id, Role role);
  void remove_member(const std::string& member_id);

  // ManageKeys. A key gives no more than it has: scopes, expiry, its own limits, its project; for another
  // project it takes ManageMembers. One that acts for a member with a higher role cannot be revoked
  // (Forbidden).
  NewKey make_key(const KeyRequest& request);
  // Revoking again changes nothing.
  void revoke_key(const std::string& key_id);

  // ManageLimits. `model` may be "*"; empty values remove the limit. A limit above that of the organisation
  // (or project) for the same model is Invalid.
  void set_limit(const Limit& limit);
  // Empty removes the cap. Organisation or Project.
  void set_spend_cap(Subject subject, const std::string& subject_id, std::optional<NanoUsd> month_cap);

  // Project: ReadUsage, the caller's project. Organisation: ReadOrganisation, all of its projects.
  enum class Reach : uint8_t { Project, Organisation };
  UsagePage search_log(const UsageFilter& filter, Reach reach = Reach::Project) const;
  // With the bodies, if they were stored: of the caller's project only.
  UsageRecord log_record(const std::string& request_id) const;
  // At most 31 days of hours, or 366 of days.
  std::vector<UsageSum> usage(Period period, GroupBy group, int64_t from_ms, int64_t until_ms,
                              Reach reach = Reach::Project) const;

 private:
  // Run `function`(Transaction&) if the action is permitted.
  template <class Function>
  auto read(Action action, Function&& function) const;
  template <class Function>
  auto change(Action action, Function&& function);
  void check_expiry(database::Transaction& transaction, const KeyRequest& request) const;

  Accounts& accounts_;
  Caller caller_;
};

}  // namespace lockstep::accounts
