// What an organisation is made of. Ids are a prefix (org_, proj_, key_, member_) and a ULID.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "accounts/limits.h"
#include "accounts/permissions.h"

namespace lockstep::accounts {

struct Organisation {
  std::string id, name;
  int64_t created_at_ms;
};

// How long a project may keep something.
inline constexpr int64_t kProjectDays_max = 3650;

// Of a project. What is not set stays as it is.
struct ProjectChange {
  std::optional<std::string> name = {};
  std::optional<bool> store_bodies = {};
  std::optional<int64_t> body_days = {}, log_days = {};
  std::optional<bool> performance = {};
};

struct ProjectSettings {
  std::string name = {};
  bool store_bodies = false;  // keep the texts of requests and answers
  int64_t body_days = 30;     // how long, 1 to 3650
  int64_t log_days = 400;     // how long the log's rows are kept, 1 to 3650
  bool performance = false;   // requests may ask for the tier "performance"

  void change(const ProjectChange& wanted) {
    name = wanted.name.value_or(name);
    store_bodies = wanted.store_bodies.value_or(store_bodies);
    body_days = wanted.body_days.value_or(body_days);
    log_days = wanted.log_days.value_or(log_days);
    performance = wanted.performance.value_or(performance);
  }
};

struct Project {
  std::string id, organisation_id;
  ProjectSettings settings;
  int64_t created_at_ms;
  std::optional<int64_t> archived_at_ms;  // its keys are revoked, its usage is still there
};

struct Member {
  std::string id, organisation_id, name;
  Role role;
  int64_t created_at_ms;
};

struct Key {
  std::string id, project_id, name;
  std::string
      prefix;  // the part of the secret that is no secret, to tell keys apart: "lsk_" and 12 characters
  Scopes scopes;
  std::string member_id;  // for whom it acts
  std::string made_by;    // id of the member or key that made it
  int64_t created_at_ms;
  std::optional<int64_t> expires_at_ms, revoked_at_ms;
};

struct KeyRequest {
  std::string name;
  Scopes scopes;  // at most the caller's
  // Empty: the caller's. Another needs the right to manage members.
  std::optional<std::string> project_id;
  // For whom it acts; empty: the caller's member. Another needs the right to manage members.
  std::optional<std::string> member_id;
  std::optional<int64_t> expires_at_ms;  // at most the caller's, if that expires
  // By model or "*"; at most those of the caller's key, which also count where none are given.
  std::vector<std::pair<std::string, LimitValues>> limits;
};

struct NewKey {
  Key key;
  std::string secret;  // shown this once; only a hash is stored
};

}  // namespace lockstep::accounts
