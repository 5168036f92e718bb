// Who may do what: roles of members, scopes of keys, and the one table that joins them.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep::accounts {

// What a member is to the organisation; each may do all that the one before may.
enum class Role : uint8_t { Reader, Developer, Owner };
inline constexpr std::array kRoles = {Role::Reader, Role::Developer, Role::Owner};
// "reader", "developer", "owner".
std::string_view role_name(Role role);
std::optional<Role> role_named(std::string_view name);

// What a key is for.
enum class Scope : uint8_t {
  Inference,  // completions, embeddings, tokenize
  Files,      // files and batches
  Read,       // usage and request log of the key's project
  Admin,      // projects, keys, members and limits of the organisation
};
inline constexpr std::array kScopes = {Scope::Inference, Scope::Files, Scope::Read, Scope::Admin};
// "inference", "files", "read", "admin".
std::string_view scope_name(Scope scope);
std::optional<Scope> scope_named(std::string_view name);

// A set of scopes.
class Scopes {
 public:
  constexpr Scopes() = default;
  constexpr Scopes(std::initializer_list<Scope> scopes) {
    for (const Scope scope : scopes) add(scope);
  }
  static constexpr Scopes all() { return {Scope::Inference, Scope::Files, Scope::Read, Scope::Admin}; }
  // Names with commas between. Empty if one is unknown.
  static std::optional<Scopes> parse(std::string_view text);

  constexpr void add(Scope scope) { bits_ = static_cast<uint8_t>(bits_ | bit(scope)); }
  constexpr bool has(Scope scope) const { return (bits_ & bit(scope)) != 0; }
  constexpr bool contains(Scopes other) const { return (other.bits_ & ~bits_) == 0; }
  constexpr bool empty() const { return bits_ == 0; }
  // Names with commas between, as parse reads them.
  std::string text() const;
  constexpr bool operator==(const Scopes&) const = default;

 private:
  static constexpr uint8_t bit(Scope scope) {
    return static_cast<uint8_t>(1u << static_cast<uint8_t>(scope));
  }

  uint8_t bits_ = 0;
};

// What is asked for.
enum class Action : uint8_t {
  Infer,
  UseFiles,
  ReadUsage,         // log and usage of the caller's own project, and the project itself
  ReadOrganisation,  // projects, keys, members, limits and usage of the whole organisation
  ManageKeys,
  ManageProjects,
  ManageMembers,
  ManageLimits,  // rates and spend caps
};
inline constexpr std::array kActions = {
    Action::Infer,      Action::UseFiles,       Action::ReadUsage,     Action::ReadOrganisation,
    Action::ManageKeys, Action::ManageProjects, Action::ManageMembers, Action::ManageLimits};

// The lowest role and the scope that an action needs.
struct Need {
  Role role;
  Scope scope;
};
Need need(Action action);
// What the action is in a sentence: "You need ... to NAME".
std::string_view action_name(Action action);

bool permitted(Role role, Scopes scopes, Action action);

}  // namespace lockstep::accounts
