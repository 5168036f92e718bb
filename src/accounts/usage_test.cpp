#include "accounts/usage.h"

#include <gtest/gtest.h>

#include <set>

#include "accounts/test_accounts.h"

namespace lockstep::accounts {
namespace {

using database::Transaction;

constexpr int64_t kStart_ms = 1'793'491'200'000;  // 2026-11-01, 0:00 UTC

class UsageTest : public AccountsFixture {
 protected:
  UsageRecord record(const std::string& id, int64_t time_ms = kStart_ms) {
    UsageRecord record;
    record.request_id = id;
    record.time_ms = time_ms;
    record.organisation_id = owner_.caller().organisation_id;
    record.project_id = owner_.caller().project_id;
    record.key_id = owner_.caller().key_id;
    record.endpoint = "/v1/chat/completions";
    record.model = "m";
    record.tokens = {100, 20, 30};
    record.cost = 1000;
    return record;
  }
  std::vector<MonthSpend> insert(const std::vector<UsageRecord>& records) {
    std::vector<const UsageRecord*> pointers;
    for (const UsageRecord& record : records) pointers.push_back(&record);
    return database_.write(
        [&](Transaction& transaction) { return usage_tables::insert(transaction, pointers); });
  }
  std::vector<std::string> ids(const UsageFilter& filter) {
    std::vector<std::string> ids;
    for (const UsageRecord& record : owner_.search_log(filter).records) ids.push_back(record.request_id);
    return ids;
  }
  void store_bodies(bool store, int64_t body_days = 30, int64_t log_days = 400) {
    owner_.change_project(owner_.caller().project_id, {"default", store, body_days, log_days});
  }
  int64_t count(const std::string& table) {
    return database_.execute("SELECT COUNT(*) FROM " + table).rows.at(0).integer(0);
  }
  int64_t purge(int64_t at_ms) {
    return database_.write([&](Transaction& transaction) { return usage_tables::purge(transaction, at_ms); });
  }

  Access owner_ = new_owner();
};
INSTANTIATE_TEST_SUITE_P(Both, UsageTest, database::both_dialects(), database::dialect_name);

using Ids = std::vector<std::string>;

TEST_P(UsageTest, ARecordComesBackAsItWas) {
  store_bodies(true);
  UsageRecord written = record("req_1");
  written.tier = Tier::Flex;
  written.status = 429;
  written.error_code = "rate_limit_exceeded";
  written.queue_us = 1;
  written.prompt_us = 2;
  written.completion_us = 3;
  written.first_token_us = 4;
  written.batch_id = "batch_1";
  written.request_body = R"({"messages":["Hällo \\ 'x'"]})";
  insert({written});
  const UsageRecord read = owner_.log_record("req_1");
  EXPECT_EQ(read.time_ms, written.time_ms);
  EXPECT_EQ(read.organisation_id, written.organisation_id);
  EXPECT_EQ(read.project_id, written.project_id);
  EXPECT_EQ(read.key_id, written.key_id);
  EXPECT_EQ(read.endpoint, written.endpoint);
  EXPECT_EQ(read.model, "m");
  EXPECT_EQ(read.tier, Tier::Flex);
  EXPECT_EQ(read.status, 429);
  EXPECT_EQ(read.error_code, "rate_limit_exceeded");
  EXPECT_EQ(read.tokens.prompt, 100);
  EXPECT_EQ(read.tokens.cached, 20);
  EXPECT_EQ(read.tokens.completion, 30);
  EXPECT_EQ(read.cost, 1000);
  EXPECT_EQ(read.queue_us, 1);
  EXPECT_EQ(read.prompt_us, 2);
  EXPECT_EQ(read.completion_us, 3);
  EXPECT_EQ(read.first_token_us, 4);
  EXPECT_EQ(read.batch_id, "batch_1");
  EXPECT_EQ(read.request_body, written.request_body);
  EXPECT_EQ(read.response_body, std::nullopt);
}

TEST_P(UsageTest, ARequestCountsOnce) {
  const std::string organisation = owner_.caller().organisation_id;
  auto sums = insert({record("req_1"), record("req_2"), record("req_1")});
  ASSERT_EQ(sums.size(), 2u);
  EXPECT_EQ(sums[0].spent, 2000);
  UsageRecord again = record("req_1", kStart_ms + 5);
  again.cost = 77;
  EXPECT_TRUE(insert({again}).empty());
  EXPECT_EQ(owner_.log_record("req_1").time_ms, kStart_ms);
  EXPECT_EQ(count("request_log"), 2);
  UsageRecord before = record("req_3", kStart_ms - 1);
  sums = insert({before, record("req_4")});
  ASSERT_EQ(sums.size(), 4u);
  for (const MonthSpend& sum : sums) EXPECT_EQ(sum.spent, sum.month == month_of(kStart_ms) ? 3000 : 1000);
  const auto month = database_.read(
      [](Transaction& transaction) { return usage_tables::month_spend(transaction, month_of(kStart_ms)); });
  ASSERT_EQ(month.size(), 2u);
  EXPECT_EQ(month[0].spent, 3000);
}

TEST_P(UsageTest, BodiesAreKeptOnlyWhereTheProjectSaysSo) {
  UsageRecord written = record("req_1");
  written.request_body = "question";
  written.response_body = "answer";
  insert({written});
  EXPECT_EQ(owner_.log_record("req_1").request_body, std::nullopt);
  EXPECT_EQ(count("request_bodies"), 0);
  store_bodies(true);
  written.request_id = "req_2";
  insert({written});
  EXPECT_EQ(owner_.log_record("req_2").request_body, "question");
  EXPECT_EQ(owner_.log_record("req_2").response_body, "answer");
  // The list has no bodies.
  EXPECT_EQ(owner_.search_log({}).records.at(0).request_body, std::nullopt);
}

TEST_P(UsageTest, SearchFindsWhatIsAskedFor) {
  UsageRecord other_key = record("req_key", kStart_ms + 1);
  other_key.key_id = "key_other";
  UsageRecord other_model = record("req_model", kStart_ms + 2);
  other_model.model = "n";
  UsageRecord failed = record("req_failed", kStart_ms + 3);
  failed.status = 503;
  UsageRecord batch = record("req_batch", kStart_ms + 4);
  batch.batch_id = "batch_1";
  insert({record("req_plain"), other_key, other_model, failed, batch});
  EXPECT_EQ(ids({}), (Ids{"req_batch", "req_failed", "req_model", "req_key", "req_plain"}));
  UsageFilter filter;
  filter.from_ms = kStart_ms + 1;
  filter.until_ms = kStart_ms + 3;
  EXPECT_EQ(ids(filter), (Ids{"req_model", "req_key"}));
  filter = {};
  filter.key_id = "key_other";
  EXPECT_EQ(ids(filter), Ids{"req_key"});
  filter = {};
  filter.model = "n";
  EXPECT_EQ(ids(filter), Ids{"req_model"});
  filter = {};
  filter.lowest_status = 500;
  filter.highest_status = 599;
  EXPECT_EQ(ids(filter), Ids{"req_failed"});
  filter = {};
  filter.batch_id = "batch_1";
  EXPECT_EQ(ids(filter), Ids{"req_batch"});
  filter = {};
  filter.id_part = "_PL";
  EXPECT_EQ(ids(filter), Ids{"req_plain"});
  for (const char* part : {"%", "q_%", "\\", "reqqplain", "r_q"}) {
    filter.id_part = part;
    EXPECT_EQ(ids(filter), Ids{}) << part;
  }
}

TEST_P(UsageTest, PagesHaveEveryRowOnce) {
  std::vector<UsageRecord> records;
  // Many rows of the same millisecond.
  for (int i = 0; i < 23; ++i)
    records.push_back(record("req_" + std::to_string(100 + i), kStart_ms + i / 10));
  insert(records);
  for (const int64_t page_size : {1, 7, 23, 1000}) {
    UsageFilter filter;
    filter.page_size = page_size;
    Ids all;
    int pages = 0;
    do {
      const UsagePage page = owner_.search_log(filter);
      for (const UsageRecord& found : page.records) all.push_back(found.request_id);
      filter.cursor = page.next_cursor;
      ASSERT_LE(++pages, 23);
    } while (filter.cursor);
    EXPECT_EQ(pages, (23 + page_size - 1) / page_size);
    ASSERT_EQ(all.size(), 23u);
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], records[22 - i].request_id);
  }
  UsageFilter filter;
  for (const int64_t page_size : {int64_t{0}, int64_t{1001}, int64_t{-1}}) {
    filter.page_size = page_size;
    EXPECT_EQ(reason_of([&] { owner_.search_log(filter); }), Reason::Invalid);
  }
  filter.page_size = 5;
  for (const char* cursor : {"", "x", "12", ":req", "99999999999999999999:req_1"}) {
    filter.cursor = cursor;
    EXPECT_EQ(reason_of([&] { owner_.search_log(filter); }), Reason::Invalid) << cursor;
  }
  // One that was not made here ends nowhere bad.
  filter.cursor = "0:' OR 1=1";
  EXPECT_EQ(ids(filter), Ids{});
}

TEST_P(UsageTest, AProjectSeesItsOwnRowsOnly) {
  UsageRecord other = record("req_other");
  other.project_id = owner_.make_project({"second", false, 30, 400}).id;
  insert({record("req_own"), other});
  EXPECT_EQ(ids({}), Ids{"req_own"});
  EXPECT_EQ(owner_.search_log({}, Access::Reach::Organisation).records.size(), 2u);
  EXPECT_EQ(reason_of([&] { owner_.log_record("req_other"); }), Reason::NotFound);
  EXPECT_EQ(owner_.usage(Period::Day, GroupBy::Nothing, kStart_ms, kStart_ms + 1).at(0).requests, 1);
  const auto by_project =
      owner_.usage(Period::Day, GroupBy::Project, kStart_ms, kStart_ms + 1, Access::Reach::Organisation);
  ASSERT_EQ(by_project.size(), 2u);
  EXPECT_EQ(by_project[0].requests, 1);
  EXPECT_NE(by_project[0].group, by_project[1].group);
}

TEST_P(UsageTest, SumsAreByPeriodAndGroup) {
  UsageRecord failed = record("req_3", kStart_ms + kHour_ms + 5);
  failed.status = 400;
  failed.tokens = {};
  failed.cost = 0;
  UsageRecord other = record("req_4", kStart_ms + kHour_ms + 6);
  other.model = "n";
  insert({record("req_1"), record("req_2", kStart_ms + kHour_ms - 1), failed, other,
          record("req_5", kStart_ms + kDay_ms)});
  const auto hours = owner_.usage(Period::Hour, GroupBy::Model, kStart_ms, kStart_ms + kDay_ms);
  ASSERT_EQ(hours.size(), 3u);
  EXPECT_EQ(hours[0].start_ms, kStart_ms);
  EXPECT_EQ(hours[0].group, "m");
  EXPECT_EQ(hours[0].requests, 2);
  EXPECT_EQ(hours[0].errors, 0);
  EXPECT_EQ(hours[0].tokens.prompt, 200);
  EXPECT_EQ(hours[0].tokens.cached, 40);
  EXPECT_EQ(hours[0].tokens.completion, 60);
  EXPECT_EQ(hours[0].cost, 2000);
  EXPECT_EQ(hours[1].start_ms, kStart_ms + kHour_ms);
  EXPECT_EQ(hours[1].errors, 1);
  EXPECT_EQ(hours[2].group, "n");
  const auto days = owner_.usage(Period::Day, GroupBy::Key, kStart_ms, kStart_ms + 2 * kDay_ms);
  ASSERT_EQ(days.size(), 2u);
  EXPECT_EQ(days[0].requests, 4);
  EXPECT_EQ(days[0].group, owner_.caller().key_id);
  EXPECT_EQ(days[1].start_ms, kStart_ms + kDay_ms);
  EXPECT_EQ(owner_.usage(Period::Day, GroupBy::Nothing, kStart_ms, kStart_ms + 1).at(0).group, "");
  const auto refused = [&](Period period, int64_t from_ms, int64_t until_ms) {
    return reason_of([&] { owner_.usage(period, GroupBy::Nothing, from_ms, until_ms); });
  };
  EXPECT_EQ(refused(Period::Hour, kStart_ms, kStart_ms + 31 * kDay_ms), std::nullopt);
  EXPECT_EQ(refused(Period::Hour, kStart_ms, kStart_ms + 31 * kDay_ms + 1), Reason::Invalid);
  EXPECT_EQ(refused(Period::Day, kStart_ms, kStart_ms + 366 * kDay_ms), std::nullopt);
  EXPECT_EQ(refused(Period::Day, 0, kStart_ms), Reason::Invalid);
  EXPECT_EQ(refused(Period::Day, kStart_ms, kStart_ms - 1), Reason::Invalid);
  EXPECT_EQ(refused(Period::Day, INT64_MIN, INT64_MAX), Reason::Invalid);
}

TEST_P(UsageTest, PurgeRemovesWhatIsTooOld) {
  store_bodies(true, 2, 10);
  UsageRecord with_body = record("req_1");
  with_body.request_body = "question";
  UsageRecord later = with_body;
  later.request_id = "req_2";
  later.time_ms += kDay_ms;
  insert({with_body, later});
  EXPECT_EQ(purge(kStart_ms + 2 * kDay_ms), 0);
  EXPECT_EQ(purge(kStart_ms + 2 * kDay_ms + 1), 1);
  EXPECT_EQ(owner_.log_record("req_1").request_body, std::nullopt);
  EXPECT_EQ(owner_.log_record("req_2").request_body, "question");
  // Without the setting nothing of before stays either.
  store_bodies(false, 2, 10);
  EXPECT_EQ(purge(kStart_ms + 2 * kDay_ms + 1), 1);
  EXPECT_EQ(count("request_bodies"), 0);
  EXPECT_EQ(count("request_log"), 2);
  EXPECT_EQ(purge(kStart_ms + 10 * kDay_ms + 1), 1);
  EXPECT_EQ(ids({}), Ids{"req_2"});
  // What was spent stays known.
  EXPECT_EQ(count("month_spend"), 2);
}

TEST_P(UsageTest, ARestartKnowsTheDaysUse) {
  const int64_t now = now_ms();
  LimitValues values;
  values.requests_per_day = 100;
  values.tokens_per_day = 1000;
  owner_.set_limit({Subject::Project, owner_.caller().project_id, "m", values});
  std::vector<UsageRecord> records;
  for (int i = 0; i < 4; ++i) records.push_back(record("req_" + std::to_string(i), now));
  records.push_back(record("req_old", now - kDay_ms - 1));
  records.push_back(record("req_batch", now));
  records.back().batch_id = "batch_1";
  records.push_back(record("req_refused", now));
  records.back().status = 429;
  records.back().admitted = false;
  records.push_back(record("req_over_capacity", now));
  records.back().status = 503;
  records.back().admitted = false;
  records.push_back(record("req_gone", now));
  records.back().status = 499;
  // An error after it was admitted: a request without tokens.
  for (const int64_t status : {400, 500}) {
    records.push_back(record("req_failed_" + std::to_string(status), now));
    records.back().status = status;
    records.back().tokens = {};
  }
  insert(records);
  EXPECT_FALSE(owner_.log_record("req_refused").admitted);
  EXPECT_TRUE(owner_.log_record("req_gone").admitted);
  Accounts restarted(database_);
  restarted.restore_limits(now);
  EXPECT_EQ(restarted.limiter().headers(owner_.caller(), "m", now).requests_per_day->remaining, 100 - 7);
  auto refused = restarted.limiter().reserve(owner_.caller(), "m", 1000, now);
  ASSERT_TRUE(std::holds_alternative<RateRefusal>(refused));
  EXPECT_EQ(std::get<RateRefusal>(refused).used, 5 * (100 - 20 + 30));
  // What was spent this month is known too.
  owner_.set_spend_cap(Subject::Project, owner_.caller().project_id, 1);
  restarted.refresh();
  EXPECT_TRUE(restarted.spending().check(owner_.caller(), now));
}

}  // namespace
}  // namespace lockstep::accounts
