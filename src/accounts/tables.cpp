#include "accounts/tables.h"

#include <fmt/format.h>

#include "accounts/secret.h"
#include "base/error.h"
#include "base/identifiers.h"

namespace lockstep::accounts::tables {
namespace {

using database::Result;
using database::Row;
using database::Values;

constexpr std::string_view kProjectColumns =
    "id, organisation_id, name, store_bodies, body_days, log_days, performance, created_at_ms, "
    "archived_at_ms";
constexpr std::string_view kMemberColumns = "id, organisation_id, name, role, created_at_ms";
constexpr std::string_view kKeyColumns =
    "k.id, k.project_id, k.name, k.prefix, k.scopes, k.member_id, k.made_by, k.created_at_ms, "
    "k.expires_at_ms, "
    "k.revoked_at_ms";
constexpr std::string_view kLimitColumns =
    "subject, subject_id, model, requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day, "
    "concurrent";

// A value that this program wrote.
template <class T>
T known(const std::optional<T>& value, const std::string& text) {
  if (!value) internal_error("the database has '{}' where a name of this program belongs", text);
  return *value;
}

std::optional<Subject> subject_named(const std::string& name) {
  for (const Subject subject : kSubjects) {
    if (subject_name(subject) == name) return subject;
  }
  return std::nullopt;
}

Organisation organisation_of(const Row& row) {
  return {row.text(0), row.text(1), row.integer(2)};
}

Project project_of(const Row& row) {
  return {row.text(0),
          row.text(1),
          {row.text(2), row.integer(3) != 0, row.integer(4), row.integer(5), row.integer(6) != 0},
          row.integer(7),
          row.integer_or_null(8)};
}

Member member_of(const Row& row) {
  return {row.text(0), row.text(1), row.text(2), known(role_named(row.text(3)), row.text(3)), row.integer(4)};
}

Key key_of(const Row& row) {
  return {row.text(0),
          row.text(1),
          row.text(2),
          row.text(3),
          known(Scopes::parse(row.text(4)), row.text(4)),
          row.text(5),
          row.text(6),
          row.integer(7),
          row.integer_or_null(8),
          row.integer_or_null(9)};
}

Limit limit_of(const Row& row) {
  Limit limit{known(subject_named(row.text(0)), row.text(0)), row.text(1), row.text(2), {}};
  for (size_t i = 0; i < kLimitKinds.size(); ++i)
    limit.values.of(kLimitKinds[i]) = row.integer_or_null(3 + i);
  return limit;
}

SpendCap spend_cap_of(const Row& row) {
  return {known(subject_named(row.text(0)), row.text(0)), row.text(1), row.integer(2)};
}

template <class Convert>
auto all(const Result& result, Convert convert) {
  std::vector<decltype(convert(result.rows[0]))> entities;
  entities.reserve(result.rows.size());
  for (const Row& row : result.rows) entities.push_back(convert(row));
  return entities;
}

template <class Convert>
auto first(const Result& result, Convert convert) {
  return result.rows.empty() ? std::nullopt : std::optional(convert(result.rows[0]));
}

}  // namespace

void changed(Transaction& transaction) {
  transaction.execute("UPDATE accounts_version SET version = version + 1");
}

int64_t version(Transaction& transaction) {
  return transaction.execute("SELECT version FROM accounts_version").rows.at(0).integer(0);
}

Organisation insert_organisation(Transaction& transaction, const std::string& name, int64_t now_ms) {
  const Organisation organisation{"org_" + new_ulid(), name, now_ms};
  transaction.execute("INSERT INTO organisations (id, name, created_at_ms) VALUES ($1, $2, $3)",
                      {organisation.id, organisation.name, organisation.created_at_ms});
  return organisation;
}

std::optional<Organisation> find_organisation(Transaction& transaction, const std::string& id) {
  return first(transaction.execute("SELECT id, name, created_at_ms FROM organisations WHERE id = $1", {id}),
               organisation_of);
}

std::vector<Organisation> list_organisations(Transaction& transaction) {
  return all(
      transaction.execute("SELECT id, name, created_at_ms FROM organisations ORDER BY created_at_ms, id"),
      organisation_of);
}

bool any_organisation(Transaction& transaction) {
  return !transaction.execute("SELECT id FROM organisations LIMIT 1").rows.empty();
}

bool any_key(Transaction& transaction) {
  return !transaction.execute("SELECT id FROM keys LIMIT 1").rows.empty();
}

Project insert_project(Transaction& transaction, const std::string& organisation_id,
                       const ProjectSettings& settings, int64_t now_ms) {
  const Project project{"proj_" + new_ulid(), organisation_id, settings, now_ms, std::nullopt};
  transaction.execute(
      fmt::format("INSERT INTO projects ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", kProjectColumns),
      {project.id, organisation_id, settings.name, int64_t{settings.store_bodies}, settings.body_days,
       settings.log_days, int64_t{settings.performance}, now_ms, project.archived_at_ms});
  return project;
}

std::optional<Project> find_project(Transaction& transaction, const std::string& organisation_id,
                                    const std::string& id) {
  return first(
      transaction.execute(
          fmt::format("SELECT {} FROM projects WHERE organisation_id = $1 AND id = $2", kProjectColumns),
          {organisation_id, id}),
      project_of);
}

std::vector<Project> list_projects(Transaction& transaction, const std::string& organisation_id) {
  return all(transaction.execute(fmt::format("SELECT {} FROM projects WHERE organisation_id = $1 "
                                             "ORDER BY created_at_ms, id",
                                             kProjectColumns),
                                 {organisation_id}),
             project_of);
}

Member insert_member(Transaction& transaction, const std::string& organisation_id, const std::string& name,
                     Role role, int64_t now_ms) {
  const Member member{"member_" + new_ulid(), organisation_id, name, role, now_ms};
  transaction.execute(fmt::format("INSERT INTO members ({}) VALUES ($1, $2, $3, $4, $5)", kMemberColumns),
                      {member.id, organisation_id, name, role_name(role), now_ms});
  return member;
}

std::optional<Member> find_member(Transaction& transaction, const std::string& organisation_id,
                                  const std::string& id) {
  return first(
      transaction.execute(fmt::format("SELECT {} FROM members WHERE organisation_id = $1 AND id = $2 "
                                      "AND removed_at_ms IS NULL",
                                      kMemberColumns),
                          {organisation_id, id}),
      member_of);
}

std::vector<Member> list_members(Transaction& transaction, const std::string& organisation_id) {
  return all(transaction.execute(fmt::format("SELECT {} FROM members WHERE organisation_id = $1 "
                                             "AND removed_at_ms IS NULL ORDER BY created_at_ms, id",
                                             kMemberColumns),
                                 {organisation_id}),
             member_of);
}

NewKey insert_key(Transaction& transaction, Key key) {
  Secret secret = new_secret();
  key.id = "key_" + new_ulid();
  key.prefix = std::move(secret.prefix);
  transaction.execute(
      "INSERT INTO keys (id, project_id, name, prefix, hash, scopes, member_id, made_by, created_at_ms, "
      "expires_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
      {key.id, key.project_id, key.name, key.prefix, hex(secret_hash(secret.text)), key.scopes.text(),
       key.member_id, key.made_by, key.created_at_ms, key.expires_at_ms});
  return {std::move(key), std::move(secret.text)};
}

std::optional<Key> find_key(Transaction& transaction, const std::string& organisation_id,
                            const std::string& id) {
  return first(transaction.execute(fmt::format("SELECT {} FROM keys k JOIN projects p ON p.id = k.project_id "
                                               "WHERE p.organisation_id = $1 AND k.id = $2",
                                               kKeyColumns),
                                   {organisation_id, id}),
               key_of);
}

std::vector<Key> list_keys(Transaction& transaction, const std::string& organisation_id) {
  return all(transaction.execute(fmt::format("SELECT {} FROM keys k JOIN projects p ON p.id = k.project_id "
                                             "WHERE p.organisation_id = $1 ORDER BY k.created_at_ms, k.id",
                                             kKeyColumns),
                                 {organisation_id}),
             key_of);
}

void store_limit(Transaction& transaction, const std::string& organisation_id, const Limit& limit) {
  // The subject belongs to the organisation, so that no other's row is meant.
  transaction.execute("DELETE FROM limits WHERE organisation_id = $1 AND subject_id = $2 AND model = $3",
                      {organisation_id, limit.subject_id, limit.model});
  if (limit.values.empty()) return;
  Values values = {organisation_id, subject_name(limit.subject), limit.subject_id, limit.model};
  for (const LimitKind kind : kLimitKinds) values.emplace_back(limit.values.of(kind));
  transaction.execute(
      fmt::format("INSERT INTO limits (organisation_id, {}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                  kLimitColumns),
      values);
}

std::vector<Limit> list_limits(Transaction& transaction, const std::string& organisation_id) {
  return all(transaction.execute(fmt::format("SELECT {} FROM limits WHERE organisation_id = $1 "
                                             "ORDER BY subject, subject_id, model",
                                             kLimitColumns),
                                 {organisation_id}),
             limit_of);
}

std::vector<SpendCap> list_spend_caps(Transaction& transaction, const std::string& organisation_id) {
  return all(
      transaction.execute("SELECT subject, subject_id, month_cap FROM spend_caps WHERE organisation_id = $1 "
                          "ORDER BY subject, subject_id",
                          {organisation_id}),
      spend_cap_of);
}

std::vector<Limit> all_limits(Transaction& transaction) {
  return all(transaction.execute(fmt::format("SELECT {} FROM limits", kLimitColumns)), limit_of);
}

std::vector<SpendCap> all_spend_caps(Transaction& transaction) {
  return all(transaction.execute("SELECT subject, subject_id, month_cap FROM spend_caps"), spend_cap_of);
}

std::vector<LiveKey> live_keys(Transaction& transaction) {
  const auto live_key_of = [](const Row& row) {
    LiveKey key{row.text(0), hash_from_hex(row.text(1)), row.integer_or_null(2), {}};
    key.caller = {row.text(3),
                  row.text(4),
                  row.text(5),
                  row.text(6),
                  known(role_named(row.text(7)), row.text(7)),
                  known(Scopes::parse(row.text(8)), row.text(8)),
                  row.integer(9) != 0,
                  row.integer(10) != 0};
    return key;
  };
  return all(
      transaction.execute(
          "SELECT k.prefix, k.hash, k.expires_at_ms, p.organisation_id, k.project_id, k.id, k.member_id, "
          "m.role, k.scopes, p.store_bodies, p.performance FROM keys k JOIN projects p ON p.id = "
          "k.project_id "
          "JOIN members m ON m.id = k.member_id WHERE k.revoked_at_ms IS NULL AND p.archived_at_ms IS NULL "
          "AND m.removed_at_ms IS NULL"),
      live_key_of);
}

}  // namespace lockstep::accounts::tables
