#include "server/batches/batch_store.h"

#include <fmt/format.h>

#include "accounts/calendar.h"
#include "base/error.h"
#include "server/files/file.h"
#include "server/json_fields.h"

namespace lockstep::server::batch_tables {

namespace {

using database::Row;
using database::Transaction;
using database::Values;

// What does not change; then what does; then the counts.
constexpr const char* kFixedColumns =
    "id, organisation_id, project_id, key_id, member_id, store_bodies, endpoint, input_file_id, "
    "completion_window, metadata, created_at_ms, expires_at_ms";
constexpr size_t kFixed = 12;
constexpr const char* kChangingColumns =
    "status, errors, output_file_id, error_file_id, total, in_progress_at_ms, finalizing_at_ms, "
    "completed_at_ms, failed_at_ms, expired_at_ms, cancelling_at_ms, cancelled_at_ms, completed, failed";
constexpr size_t kChanging = 14;
// The times among the changing columns, in their order.
constexpr std::array kTimes = {BatchStatus::InProgress, BatchStatus::Finalizing, BatchStatus::Completed,
                               BatchStatus::Failed,     BatchStatus::Expired,    BatchStatus::Cancelling,
                               BatchStatus::Cancelled};

std::string select_sql() {
  return fmt::format("SELECT {}, {} FROM batches ", kFixedColumns, kChangingColumns);
}

// "$1, $2, ..." from `first` on.
std::string parameters(size_t first, size_t count) {
  std::string list;
  for (size_t i = first; i < first + count; ++i) list += fmt::format("{}${}", i == first ? "" : ", ", i);
  return list;
}

std::optional<std::string> errors_text(const std::vector<BatchError>& errors) {
  if (errors.empty()) return std::nullopt;
  return to_text(batch_errors_json(errors));
}

std::vector<BatchError> errors_of(const std::optional<std::string>& text) {
  std::vector<BatchError> errors;
  if (!text) return errors;
  for (const auto& item : RequestJson::parse(*text)) {
    BatchError& error = errors.emplace_back();
    error.code = item.at("code");
    error.message = item.at("message");
    if (item.at("param").is_string()) error.param = item.at("param");
    if (item.at("line").is_number()) error.line = item.at("line");
  }
  return errors;
}

Batch batch_of(const Row& row) {
  Batch batch;
  batch.id = row.text(0);
  batch.caller = {.organisation_id = row.text(1),
                  .project_id = row.text(2),
                  .key_id = row.text(3),
                  .member_id = row.text(4),
                  .scopes = {},
                  .store_bodies = row.integer(5) != 0};
  batch.endpoint = row.text(6);
  batch.input_file_id = row.text(7);
  batch.completion_window = row.text(8);
  batch.metadata = row.text_or_null(9);
  batch.since(BatchStatus::Validating) = row.integer(10);
  batch.expires_at_ms = row.integer(11);
  size_t column = kFixed;
  batch.status = batch_status_named(row.text(column++));
  batch.errors = errors_of(row.text_or_null(column++));
  batch.output_file_id = row.text_or_null(column++);
  batch.error_file_id = row.text_or_null(column++);
  batch.total = row.integer(column++);
  for (const BatchStatus status : kTimes) batch.since(status) = row.integer_or_null(column++);
  batch.completed = row.integer(column++);
  batch.failed = row.integer(column++);
  return batch;
}

void append_changing(const Batch& batch, Values& values) {
  values.emplace_back(std::string(batch_status_name(batch.status)));
  values.emplace_back(errors_text(batch.errors));
  values.emplace_back(batch.output_file_id);
  values.emplace_back(batch.error_file_id);
  values.emplace_back(batch.total);
  for (const BatchStatus status : kTimes) values.emplace_back(batch.since(status));
  values.emplace_back(batch.completed);
  values.emplace_back(batch.failed);
}

}  // namespace

void insert(Transaction& transaction, const Batch& batch) {
  const accounts::Caller& caller = batch.caller;
  Values values = {batch.id,
                   caller.organisation_id,
                   caller.project_id,
                   caller.key_id,
                   caller.member_id,
                   int64_t{caller.store_bodies},
                   batch.endpoint,
                   batch.input_file_id,
                   batch.completion_window,
                   batch.metadata,
                   batch.since(BatchStatus::Validating),
                   batch.expires_at_ms};
  append_changing(batch, values);
  transaction.execute(fmt::format("INSERT INTO batches ({}, {}) VALUES ({})", kFixedColumns, kChangingColumns,
                                  parameters(1, values.size())),
                      values);
}

std::optional<Batch> find(Transaction& transaction, const std::optional<std::string>& project_id,
                          const std::string& id) {
  Values values = {id};
  if (project_id) values.emplace_back(*project_id);
  const auto found = transaction.execute(
      select_sql() + "WHERE id = $1" + (project_id ? " AND project_id = $2" : ""), values);
  if (found.rows.empty()) return std::nullopt;
  return batch_of(found.rows.front());
}

PageOf<Batch> list(Transaction& transaction, const std::string& project_id,
                   const std::vector<std::string>& ids, const Page& page) {
  Values values = {project_id};
  std::string sql = select_sql() + "WHERE project_id = $1";
  if (!ids.empty()) {
    sql += fmt::format(" AND id IN ({})", parameters(2, ids.size()));
    values.insert(values.end(), ids.begin(), ids.end());
  }
  if (page.after) values.emplace_back(*page.after);
  sql += page_sql(page, values.size());
  return page_of<Batch>(transaction.execute(sql, values).rows, page, batch_of);
}

void update(Transaction& transaction, const Batch& batch) {
  Values values = {batch.id};
  append_changing(batch, values);
  LOCKSTEP_CHECK(values.size() == 1 + kChanging);
  transaction.execute(
      fmt::format("UPDATE batches SET ({}) = ({}) WHERE id = $1", kChangingColumns, parameters(2, kChanging)),
      values);
}

void add_result(Transaction& transaction, const std::string& batch_id, const BatchResult& result) {
  const auto inserted = transaction.execute(
      "INSERT INTO batch_results (batch_id, line, failed, text) "
      "SELECT id, CAST($2 AS BIGINT), CAST($3 AS BIGINT), $4 FROM batches "
      "WHERE id = $1 AND status IN ('in_progress', 'cancelling') ON CONFLICT (batch_id, line) DO NOTHING",
      {batch_id, result.line, int64_t{result.failed}, result.text});
  if (inserted.changed_rows == 0) return;
  const char* count = result.failed ? "failed" : "completed";
  transaction.execute(fmt::format("UPDATE batches SET {0} = {0} + 1 WHERE id = $1", count), {batch_id});
}

std::vector<BatchResult> results(Transaction& transaction, const std::string& batch_id, int64_t after,
                                 int64_t most) {
  const auto found = transaction.execute(
      fmt::format("SELECT line, failed, text FROM batch_results WHERE batch_id = $1 AND line > $2 "
                  "ORDER BY line LIMIT {}",
                  most),
      {batch_id, after});
  std::vector<BatchResult> results;
  for (const Row& row : found.rows) results.push_back({row.integer(0), row.integer(1) != 0, row.text(2)});
  return results;
}

std::vector<int64_t> lines_with_result(Transaction& transaction, const std::string& batch_id) {
  std::vector<int64_t> lines;
  const auto found = transaction.execute("SELECT line FROM batch_results WHERE batch_id = $1", {batch_id});
  for (const Row& row : found.rows) lines.push_back(row.integer(0));
  return lines;
}

void remove_results(Transaction& transaction, const std::string& batch_id) {
  transaction.execute("DELETE FROM batch_results WHERE batch_id = $1", {batch_id});
}

void purge(Transaction& transaction, int64_t now_ms) {
  transaction.execute(
      fmt::format("DELETE FROM batches WHERE expires_at_ms <= $1 AND status NOT IN {}", open_statuses_sql()),
      {now_ms - kFileKept_ms});
}

}  // namespace lockstep::server::batch_tables
