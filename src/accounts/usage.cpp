#include "accounts/usage.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "accounts/access_error.h"
#include "accounts/calendar.h"
#include "base/error.h"

namespace lockstep::accounts::usage_tables {
namespace {

using database::Result;
using database::Row;
using database::Transaction;
using database::Value;
using database::Values;

constexpr std::string_view kColumns =
    "l.request_id, l.time_ms, l.organisation_id, l.project_id, l.key_id, l.endpoint, l.model, l.tier, "
    "l.status, "
    "l.error_code, l.prompt_tokens, l.cached_tokens, l.completion_tokens, l.cost, l.queue_us, l.prompt_us, "
    "l.completion_us, l.first_token_us, l.batch_id, l.admitted";
constexpr size_t kColumnCount = 20;

// Rows that one purge removes from a table at most; a purge of one table that reached it ends there, so that
// no transaction is long.
constexpr int64_t kLargestPurge = 2000;

UsageRecord record_of(const Row& row) {
  UsageRecord record;
  record.request_id = row.text(0);
  record.time_ms = row.integer(1);
  record.organisation_id = row.text(2);
  record.project_id = row.text(3);
  record.key_id = row.text(4);
  record.endpoint = row.text(5);
  record.model = row.text(6);
  record.tier = tier_named(row.text(7)).value_or(Tier::OnDemand);
  record.status = row.integer(8);
  record.error_code = row.text(9);
  record.tokens = {row.integer(10), row.integer(11), row.integer(12)};
  record.cost = row.integer(13);
  record.queue_us = row.integer(14);
  record.prompt_us = row.integer(15);
  record.completion_us = row.integer(16);
  record.first_token_us = row.integer_or_null(17);
  record.batch_id = row.text_or_null(18);
  record.admitted = row.integer(19) != 0;
  return record;
}

// Conditions joined by AND, and the values of their parameters.
class Conditions {
 public:
  explicit Conditions(const Owner& owner) {
    add("l.organisation_id = {}", owner.organisation_id);
    if (owner.project_id) add("l.project_id = {}", *owner.project_id);
  }

  // `condition` has one {} for its parameter.
  void add(std::string_view condition, Value value) {
    text_ += fmt::format("{}{}", text_.empty() ? " WHERE " : " AND ",
                         fmt::format(fmt::runtime(condition), parameter(std::move(value))));
  }
  template <class T>
  void add_if(std::string_view condition, const std::optional<T>& value) {
    if (value) add(condition, *value);
  }
  // The next parameter: "$3".
  std::string parameter(Value value) {
    values_.push_back(std::move(value));
    return fmt::format("${}", values_.size());
  }

  const std::string& text() const { return text_; }
  const Values& values() const { return values_; }

 private:
  std::string text_;
  Values values_;
};

// For LIKE: any text with `part`, in lower case as all ids are.
std::string like_pattern(const std::string& part) {
  std::string pattern = "%";
  for (const char c : part) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return pattern + "%";
}

// The last row of a page: "TIME ID" with a colon between.
std::string cursor_of(const UsageRecord& record) {
  return fmt::format("{}:{}", record.time_ms, record.request_id);
}

void add_cursor(Conditions& conditions, const std::string& cursor) {
  int64_t time_ms = 0;
  const char* end = cursor.data() + cursor.size();
  const auto parsed = std::from_chars(cursor.data(), end, time_ms);
  if (parsed.ec != std::errc() || parsed.ptr == end || *parsed.ptr != ':') {
    refuse(Reason::Invalid, "The cursor is none of this log: send the next_cursor of the page before.");
  }
  const std::string time = conditions.parameter(time_ms);
  conditions.add(fmt::format("(l.time_ms, l.request_id) < ({}, {{}})", time),
                 std::string(parsed.ptr + 1, end));
}

// Gives whether the record is new.
bool insert_one(Transaction& transaction, const UsageRecord& record) {
  const Result inserted = transaction.execute(
      "INSERT INTO request_log (request_id, time_ms, organisation_id, project_id, key_id, endpoint, model, "
      "tier, "
      "status, error_code, prompt_tokens, cached_tokens, completion_tokens, cost, queue_us, prompt_us, "
      "completion_us, first_token_us, batch_id, admitted) VALUES "
      "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) "
      "ON CONFLICT (request_id) DO NOTHING",
      {record.request_id,
       record.time_ms,
       record.organisation_id,
       record.project_id,
       record.key_id,
       record.endpoint,
       record.model,
       tier_name(record.tier),
       record.status,
       record.error_code,
       record.tokens.prompt,
       record.tokens.cached,
       record.tokens.completion,
       record.cost,
       record.queue_us,
       record.prompt_us,
       record.completion_us,
       record.first_token_us,
       record.batch_id,
       int64_t{record.admitted}});
  if (inserted.changed_rows == 0) return false;
  if (record.request_body || record.response_body) {
    // The project's setting is asked here, whatever the writer of the record knew of it.
    transaction.execute(
        "INSERT INTO request_bodies (request_id, project_id, time_ms, request, response) "
        "SELECT $1, id, CAST($2 AS BIGINT), $3, $4 FROM projects WHERE id = $5 AND store_bodies = 1",
        {record.request_id, record.time_ms, record.request_body, record.response_body, record.project_id});
  }
  return true;
}

}  // namespace

std::vector<MonthSpend> insert(Transaction& transaction, const std::vector<const UsageRecord*>& records) {
  // In the order of a map, so that two servers that write the same sums wait for each other in one order.
  std::map<std::pair<std::string, int64_t>, NanoUsd> costs;
  for (const UsageRecord* record : records) {
    if (!insert_one(transaction, *record) || record->cost == 0) continue;
    const int64_t month = month_of(record->time_ms);
    costs[{record->organisation_id, month}] += record->cost;
    costs[{record->project_id, month}] += record->cost;
  }
  std::vector<MonthSpend> sums;
  for (const auto& [subject_and_month, added] : costs) {
    const auto& [subject_id, month] = subject_and_month;
    const Result sum = transaction.execute(
        "INSERT INTO month_spend (subject_id, month, spent) VALUES ($1, $2, $3) ON CONFLICT (subject_id, "
        "month) "
        "DO UPDATE SET spent = month_spend.spent + excluded.spent RETURNING spent",
        {subject_id, month, added});
    sums.push_back({subject_id, month, sum.rows.at(0).integer(0)});
  }
  return sums;
}

UsagePage search(Transaction& transaction, const Owner& owner, const UsageFilter& filter) {
  if (filter.page_size < 1 || filter.page_size > 1000) {
    refuse(Reason::Invalid, "A page has 1 to 1000 rows, not {}.", filter.page_size);
  }
  Conditions conditions(owner);
  conditions.add_if("l.time_ms >= {}", filter.from_ms);
  conditions.add_if("l.time_ms < {}", filter.until_ms);
  conditions.add_if("l.key_id = {}", filter.key_id);
  conditions.add_if("l.model = {}", filter.model);
  conditions.add_if("l.batch_id = {}", filter.batch_id);
  conditions.add_if("l.status >= {}", filter.lowest_status);
  conditions.add_if("l.status <= {}", filter.highest_status);
  if (filter.id_part) conditions.add("l.request_id LIKE {} ESCAPE '\\'", like_pattern(*filter.id_part));
  if (filter.cursor) add_cursor(conditions, *filter.cursor);
  // One more than the page, to know whether there is another.
  const std::string limit = conditions.parameter(filter.page_size + 1);
  const Result result = transaction.execute(
      fmt::format("SELECT {} FROM request_log l{} ORDER BY l.time_ms DESC, l.request_id DESC LIMIT {}",
                  kColumns, conditions.text(), limit),
      conditions.values());
  UsagePage page;
  for (const Row& row : result.rows) {
    if (static_cast<int64_t>(page.records.size()) == filter.page_size) {
      page.next_cursor = cursor_of(page.records.back());
      break;
    }
    page.records.push_back(record_of(row));
  }
  return page;
}

std::optional<UsageRecord> find(Transaction& transaction, const Owner& owner, const std::string& request_id) {
  Conditions conditions(owner);
  conditions.add("l.request_id = {}", request_id);
  const Result result =
      transaction.execute(fmt::format("SELECT {}, b.request, b.response FROM request_log l "
                                      "LEFT JOIN request_bodies b ON b.request_id = l.request_id{}",
                                      kColumns, conditions.text()),
                          conditions.values());
  if (result.rows.empty()) return std::nullopt;
  UsageRecord record = record_of(result.rows[0]);
  record.request_body = result.rows[0].text_or_null(kColumnCount);
  record.response_body = result.rows[0].text_or_null(kColumnCount + 1);
  return record;
}

std::vector<UsageSum> sums(Transaction& transaction, const Owner& owner, Period period, GroupBy group,
                           int64_t from_ms, int64_t until_ms) {
  const int64_t period_ms = period == Period::Hour ? kHour_ms : kDay_ms;
  const std::string_view group_column = group == GroupBy::Model     ? "l.model"
                                        : group == GroupBy::Key     ? "l.key_id"
                                        : group == GroupBy::Project ? "l.project_id"
                                                                    : "''";
  Conditions conditions(owner);
  conditions.add("l.time_ms >= {}", from_ms);
  conditions.add("l.time_ms < {}", until_ms);
  const Result result = transaction.execute(
      fmt::format(
          "SELECT period, label, COUNT(*), SUM(failed), SUM(prompt_tokens), SUM(cached_tokens), "
          "SUM(completion_tokens), SUM(cost) FROM ("
          "SELECT l.time_ms / {} AS period, {} AS label, CASE WHEN l.status >= 400 THEN 1 ELSE 0 END AS "
          "failed, "
          "l.prompt_tokens, l.cached_tokens, l.completion_tokens, l.cost FROM request_log l{}) AS part "
          "GROUP BY period, label ORDER BY period, label",
          period_ms, group_column, conditions.text()),
      conditions.values());
  std::vector<UsageSum> sums;
  for (const Row& row : result.rows) {
    sums.push_back({row.integer(0) * period_ms,
                    row.text(1),
                    row.integer(2),
                    row.integer(3),
                    {row.integer(4), row.integer(5), row.integer(6)},
                    row.integer(7)});
  }
  return sums;
}

std::vector<MonthSpend> month_spend(Transaction& transaction, int64_t month) {
  std::vector<MonthSpend> sums;
  for (const Row& row :
       transaction.execute("SELECT subject_id, month, spent FROM month_spend WHERE month = $1", {month})
           .rows) {
    sums.push_back({row.text(0), row.integer(1), row.integer(2)});
  }
  return sums;
}

std::vector<PastUse> past_uses(Transaction& transaction, int64_t from_ms) {
  std::vector<PastUse> uses;
  // One organisation after the other, as the log's index has them; they share no limit.
  for (const Row& organisation : transaction.execute("SELECT id FROM organisations").rows) {
    const Result result = transaction.execute(
        "SELECT project_id, key_id, model, COUNT(*), SUM(prompt_tokens - cached_tokens + completion_tokens), "
        "MAX(time_ms) AS latest FROM request_log WHERE organisation_id = $1 AND time_ms >= $2 AND batch_id "
        "IS NULL AND admitted = 1 "
        "GROUP BY project_id, key_id, model, time_ms / 60000 ORDER BY latest",
        {organisation.text(0), from_ms});
    for (const Row& row : result.rows) {
      uses.push_back({organisation.text(0), row.text(0), row.text(1), row.text(2), row.integer(3),
                      row.integer(4), row.integer(5)});
    }
  }
  return uses;
}

int64_t purge(Transaction& transaction, int64_t now_ms) {
  int64_t removed = 0;
  const auto remove_before = [&](std::string_view table, const std::string& project_id, int64_t before_ms) {
    if (removed >= kLargestPurge) return;
    removed += transaction
                   .execute(fmt::format("DELETE FROM {0} WHERE request_id IN (SELECT request_id FROM {0} "
                                        "WHERE project_id = $1 AND time_ms < $2 ORDER BY time_ms LIMIT $3)",
                                        table),
                            {project_id, before_ms, kLargestPurge})
                   .changed_rows;
  };
  for (const Row& project :
       transaction.execute("SELECT id, store_bodies, body_days, log_days FROM projects").rows) {
    // A project that no longer stores bodies keeps none of before.
    const int64_t body_days = project.integer(1) == 1 ? project.integer(2) : 0;
    remove_before("request_bodies", project.text(0), now_ms - body_days * kDay_ms);
    remove_before("request_log", project.text(0), now_ms - project.integer(3) * kDay_ms);
  }
  return removed;
}

}  // namespace lockstep::accounts::usage_tables
