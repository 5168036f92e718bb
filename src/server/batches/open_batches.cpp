#include "server/batches/open_batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "accounts/calendar.h"

namespace lockstep::server {

namespace {

using database::Row;
using database::Transaction;

constexpr int64_t kRowsAtOnce = 1000;

// A batch of a server without keys has none, and its member all scopes.
constexpr const char* kSelect =
    "SELECT id, status, expires_at_ms, organisation_id, project_id, batches.key_id, batches.member_id, "
    "role, scopes, project_bodies, archived_at_ms, removed_at_ms, revoked_at_ms, key_expires_at_ms "
    "FROM batches "
    "LEFT JOIN (SELECT id AS key_id, scopes, revoked_at_ms, expires_at_ms AS key_expires_at_ms FROM keys) "
    "AS its_key ON its_key.key_id = batches.key_id "
    "LEFT JOIN (SELECT id AS member_id, role, removed_at_ms FROM members) AS its_member "
    "ON its_member.member_id = batches.member_id "
    "LEFT JOIN (SELECT id AS own_project_id, store_bodies AS project_bodies, archived_at_ms FROM projects) "
    "AS its_project ON own_project_id = batches.project_id ";

std::optional<BatchError> refusal_of(const Row& row, const accounts::Caller& caller, int64_t now_ms) {
  const std::optional<int64_t> key_end_ms = row.integer_or_null(13);
  if (!row.is_null(10)) {
    return BatchError{"project_archived", fmt::format("The project '{}' was archived.", caller.project_id)};
  }
  if (row.is_null(7) || !row.is_null(11)) {
    return BatchError{
        "member_removed",
        fmt::format("The member '{}', for whom the batch's key acts, was removed.", caller.member_id)};
  }
  if (!caller.key_id.empty() && (row.is_null(8) || !row.is_null(12))) {
    return BatchError{"key_revoked", fmt::format("The key '{}', with which the batch was made, was revoked.",
                                                 caller.key_id)};
  }
  if (key_end_ms && *key_end_ms <= now_ms) {
    return BatchError{"key_expired", fmt::format("The key '{}', with which the batch was made, has expired.",
                                                 caller.key_id)};
  }
  if (!caller.may(accounts::Action::Infer)) {
    return BatchError{"permission_denied",
                      fmt::format("The member '{}', for whom the batch's key acts, may no longer {}.",
                                  caller.member_id, accounts::action_name(accounts::Action::Infer))};
  }
  return std::nullopt;
}

OpenBatch open_batch_of(const Row& row, int64_t now_ms) {
  OpenBatch batch{.id = row.text(0),
                  .status = batch_status_named(row.text(1)),
                  .expires_at_ms = row.integer(2),
                  .caller = {.organisation_id = row.text(3),
                             .project_id = row.text(4),
                             .key_id = row.text(5),
                             .member_id = row.text(6),
                             .scopes = {}}};
  accounts::Caller& caller = batch.caller;
  if (const auto role = row.text_or_null(7)) caller.role = accounts::role_named(*role).value();
  if (const auto scopes = row.text_or_null(8)) caller.scopes = accounts::Scopes::parse(*scopes).value();
  if (caller.key_id.empty()) caller.scopes = accounts::Scopes::all();
  caller.store_bodies = row.integer_or_null(9).value_or(0) != 0;
  batch.refusal = refusal_of(row, caller, now_ms);
  return batch;
}

}  // namespace

bool OpenBatch::ending(int64_t now_ms) const {
  return status == BatchStatus::Finalizing || status == BatchStatus::Cancelling || expires_at_ms <= now_ms;
}

std::vector<OpenBatch> open_batches(database::Database& database, int64_t now_ms) {
  const std::string sql = fmt::format("{} WHERE status IN {} AND id > $1 ORDER BY id LIMIT {}", kSelect,
                                      open_statuses_sql(), kRowsAtOnce);
  std::vector<OpenBatch> batches;
  while (true) {
    const std::string after = batches.empty() ? "" : batches.back().id;
    const database::Result found =
        database.read([&](Transaction& transaction) { return transaction.execute(sql, {after}); });
    for (const Row& row : found.rows) batches.push_back(open_batch_of(row, now_ms));
    if (found.rows.size() < static_cast<size_t>(kRowsAtOnce)) return batches;
  }
}

int64_t count_open_batches(Transaction& transaction, const std::string& project_id) {
  return transaction
      .execute(fmt::format("SELECT COUNT(*) FROM batches WHERE project_id = $1 AND status IN {}",
                           open_statuses_sql()),
               {project_id})
      .rows.at(0)
      .integer(0);
}

std::vector<const OpenBatch*> in_turn(std::span<const OpenBatch> batches, const std::string& after_project) {
  std::map<std::string, std::vector<const OpenBatch*>> by_project;
  for (const OpenBatch& batch : batches) by_project[batch.caller.project_id].push_back(&batch);
  std::vector<const OpenBatch*> order;
  auto project = by_project.upper_bound(after_project);
  for (size_t round = 0; order.size() < batches.size(); ++round) {
    for (size_t i = 0; i < by_project.size(); ++i, ++project) {
      if (project == by_project.end()) project = by_project.begin();
      if (round < project->second.size()) order.push_back(project->second[round]);
    }
  }
  return order;
}

}  // namespace lockstep::server
