// The request log, which is also the record of usage: one row for every request that a key sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "accounts/limits.h"
#include "accounts/prices.h"
#include "accounts/spending.h"
#include "database/database.h"

namespace lockstep::accounts {

struct UsageRecord {
  std::string request_id;  // no two rows have the same
  int64_t time_ms = 0;     // when the request came
  bool admitted = true;    // it counted against the limits
  std::string organisation_id, project_id, key_id;
  std::string endpoint;  // "/v1/chat/completions"
  std::string model;     // empty where none was named
  Tier tier = Tier::OnDemand;
  int64_t status = 200;    // of HTTP; 499: the client went
  std::string error_code;  // empty: no error
  TokenCounts tokens;
  NanoUsd cost = 0;
  int64_t queue_us = 0, prompt_us = 0, completion_us = 0;
  std::optional<int64_t> first_token_us;  // from the arrival to the first token
  std::optional<std::string> batch_id;
  // Kept only where the project says so; otherwise dropped.
  std::optional<std::string> request_body, response_body;
};

// Which rows of the log. What is not set is not asked for.
struct UsageFilter {
  std::optional<int64_t> from_ms, until_ms;  // from <= time < until
  std::optional<std::string> key_id, model, batch_id;
  std::optional<int64_t> lowest_status, highest_status;
  std::optional<std::string> id_part;  // a text inside the request's id, without regard to case
  std::optional<std::string> cursor;   // of the page before
  int64_t page_size = 50;              // 1 to 1000
};

struct UsagePage {
  std::vector<UsageRecord> records;        // newest first, without bodies
  std::optional<std::string> next_cursor;  // empty: there are no more
};

enum class Period : uint8_t { Hour, Day };
enum class GroupBy : uint8_t { Nothing, Model, Key, Project };

struct UsageSum {
  int64_t start_ms;          // of the hour or day, UTC
  std::string group;         // the model's name or the id; empty for GroupBy::Nothing
  int64_t requests, errors;  // errors: status 400 or more
  TokenCounts tokens;
  NanoUsd cost;
};

// Rows of the log as the tables have them, for whoever has found out whose rows may be seen (Access) or
// writes them (Journal).
namespace usage_tables {

// One organisation, or one project of it.
struct Owner {
  std::string organisation_id;
  std::optional<std::string> project_id;
};

// Adds what is not there yet, by request_id; a record that is there stays as it is. Gives the new sums of the
// months that changed.
std::vector<MonthSpend> insert(database::Transaction& transaction,
                               const std::vector<const UsageRecord*>& records);
UsagePage search(database::Transaction& transaction, const Owner& owner, const UsageFilter& filter);
// With bodies.
std::optional<UsageRecord> find(database::Transaction& transaction, const Owner& owner,
                                const std::string& request_id);
// from <= time < until; oldest first.
std::vector<UsageSum> sums(database::Transaction& transaction, const Owner& owner, Period period,
                           GroupBy group, int64_t from_ms, int64_t until_ms);
// Sums of a month, of every organisation and project.
std::vector<MonthSpend> month_spend(database::Transaction& transaction, int64_t month);
// What counted against the limits since a time, a minute's requests together, oldest first.
std::vector<PastUse> past_uses(database::Transaction& transaction, int64_t from_ms);
// Removes bodies and rows that are older than their project keeps them. Gives the number of both.
int64_t purge(database::Transaction& transaction, int64_t now_ms);

}  // namespace usage_tables

}  // namespace lockstep::accounts
