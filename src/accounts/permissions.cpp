#include "accounts/permissions.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::accounts {
namespace {

constexpr std::array<std::string_view, 3> kRoleNames = {"reader", "developer", "owner"};
constexpr std::array<std::string_view, 4> kScopeNames = {"inference", "files", "read", "admin"};

template <class Enum, size_t kCount>
std::optional<Enum> named(const std::array<std::string_view, kCount>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

struct ActionRow {
  Action action;
  Need need;
  std::string_view name;
};

// The table of permissions, in the order of Action.
constexpr std::array<ActionRow, 8> kTable = {{
    {Action::Infer, {Role::Developer, Scope::Inference}, "ask models"},
    {Action::UseFiles, {Role::Developer, Scope::Files}, "use files and batches"},
    {Action::ReadUsage, {Role::Reader, Scope::Read}, "read usage and logs"},
    {Action::ReadOrganisation, {Role::Reader, Scope::Admin}, "read the organization's settings"},
    {Action::ManageKeys, {Role::Developer, Scope::Admin}, "make and revoke keys"},
    {Action::ManageProjects, {Role::Developer, Scope::Admin}, "change projects"},
    {Action::ManageMembers, {Role::Owner, Scope::Admin}, "change members"},
    {Action::ManageLimits, {Role::Owner, Scope::Admin}, "change limits"},
}};

const ActionRow& row_of(Action action) {
  const ActionRow& row = kTable.at(static_cast<size_t>(action));
  LOCKSTEP_CHECK(row.action == action);
  return row;
}

}  // namespace

std::string_view role_name(Role role) {
  return kRoleNames.at(static_cast<size_t>(role));
}

std::optional<Role> role_named(std::string_view name) {
  return named<Role>(kRoleNames, name);
}

std::string_view scope_name(Scope scope) {
  return kScopeNames.at(static_cast<size_t>(scope));
}

std::optional<Scope> scope_named(std::string_view name) {
  return named<Scope>(kScopeNames, name);
}

std::optional<Scopes> Scopes::parse(std::string_view text) {
  Scopes scopes;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const auto scope = scope_named(text.substr(0, comma));
    if (!scope) return std::nullopt;
    scopes.add(*scope);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return scopes;
}

std::string Scopes::text() const {
  std::string text;
  for (const Scope scope : kScopes) {
    if (!has(scope)) continue;
    if (!text.empty()) text += ',';
    text += scope_name(scope);
  }
  return text;
}

Need need(Action action) {
  return row_of(action).need;
}

std::string_view action_name(Action action) {
  return row_of(action).name;
}

bool permitted(Role role, Scopes scopes, Action action) {
  const Need needed = need(action);
  return role >= needed.role && scopes.has(needed.scope);
}

}  // namespace lockstep::accounts
