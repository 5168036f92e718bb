#include "server/accounting.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "accounts/test_accounts.h"
#include "server/api_error.h"

namespace lockstep::server {
namespace {

using accounts::kSecond_ms;

class AccountingTest : public accounts::AccountsFixture {
 protected:
  AccountingTest() {
    prices_.set("m", {1'000'000, 500'000, 2'000'000});
    request_.body = "0123456789";
    request_.received_s = http::clock_s();
  }

  // Of a request of its own.
  Call call() {
    request_.id = "req_" + std::to_string(++number_);
    Call call{.request = request_, .target = http::Target("/openai/v1/chat/completions")};
    call.caller = owner_.caller();
    call.counted.model = "m";
    return call;
  }
  // The status of the error, 200 if there is none.
  unsigned status_of(Accounting& accounting, Call& call, const accounts::TokensWanted& tokens = 10) {
    try {
      accounting.admit(call, tokens);
    } catch (const ApiError& error) {
      return error.status();
    }
    return 200;
  }
  accounts::UsageRecord record(const std::string& id) {
    journal_.flush();
    return owner_.log_record(id);
  }
  // The row of an admitted request that ends so.
  accounts::UsageRecord ended(Accounting& accounting, unsigned status) {
    Call one = call();
    Outcome outcome;
    outcome.status = status;
    outcome.usage = {.prompt_tokens = 100, .cached_tokens = 40, .completion_tokens = 7};
    accounting.admit(one, 200)(outcome, [](bool) {});
    return record(one.request.id);
  }

  accounts::Access owner_ = new_owner();
  accounts::Journal journal_{accounts()};
  accounts::PriceList prices_;
  http::Request request_;
  int number_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Both, AccountingTest, database::both_dialects(), database::dialect_name);

TEST_P(AccountingTest, WhatTheServerFailsAtCostsNothing) {
  accounts::LimitValues values;
  values.tokens_per_minute = 10'000;
  owner_.set_limit({accounts::Subject::Key, owner_.caller().key_id, "m", values});
  Accounting accounting(accounts(), journal_, prices_);
  for (const unsigned status : {500u, 503u}) {
    const accounts::UsageRecord failed = ended(accounting, status);
    EXPECT_EQ(failed.tokens.prompt + failed.tokens.cached + failed.tokens.completion, 0) << status;
    EXPECT_EQ(failed.cost, 0);
    EXPECT_TRUE(failed.admitted);
  }
  const auto remaining = [&] {
    return accounts()
        .limiter()
        .headers(owner_.caller(), "m", accounts::steady_now_ms())
        .tokens_per_minute->remaining;
  };
  EXPECT_EQ(remaining(), 10'000);
  const accounts::UsageRecord gone = ended(accounting, 499);
  EXPECT_EQ(gone.tokens.completion, 7);
  EXPECT_EQ(gone.cost, 60 + 20 + 14);
  EXPECT_NEAR(remaining(), 10'000 - 67, 67);
}

TEST_P(AccountingTest, ARowHasTheTimeAtWhichTheRequestCame) {
  Accounting accounting(accounts(), journal_, prices_);
  request_.received_s = http::clock_s() - 100;
  const accounts::UsageRecord row = ended(accounting, 200);
  EXPECT_NEAR(row.time_ms, accounts::now_ms() - 100 * kSecond_ms, 2 * kSecond_ms);
  EXPECT_EQ(row.endpoint, "/v1/chat/completions");
}

TEST_P(AccountingTest, TextsThatWaitHaveABound) {
  owner_.change_project(owner_.caller().project_id, {.store_bodies = true});
  Accounting accounting(accounts(), journal_, prices_, 25);
  Call first = call(), second = call(), third = call();
  for (Call* one : {&first, &second, &third}) one->caller.store_bodies = true;
  request_.body = std::string("texts \0\xff 56", 11);
  Settle settle = accounting.admit(first, 10);
  {
    const Settle other = accounting.admit(second, 10);
    EXPECT_EQ(status_of(accounting, third), 503u);
    third.caller.store_bodies = false;
    EXPECT_EQ(status_of(accounting, third), 200u);
    third.caller.store_bodies = true;
  }
  EXPECT_EQ(status_of(accounting, third), 200u) << "the second one's texts are gone";
  settle({}, [](bool) {});
  settle = {};
  EXPECT_EQ(record(request_.id).request_body, "texts \xef\xbf\xbd\xef\xbf\xbd 56");
}

// However many are refused while the database is busy: others are admitted.
TEST_P(AccountingTest, RefusalsHaveABoundOfTheirOwn) {
  owner_.change_project(owner_.caller().project_id, {.store_bodies = true});
  Accounting accounting(accounts(), journal_, prices_);
  std::promise<void> locked, go_on;
  std::thread busy([&] {
    database_.exclusive([&](database::Transaction& transaction) {
      transaction.execute("UPDATE month_spend SET spent = spent");
      locked.set_value();
      go_on.get_future().wait();
    });
  });
  locked.get_future().wait();
  for (size_t i = 0; i < 20 * Accounting::kRefusalsWaitingMax; ++i) {
    Call refused = call();
    refused.caller.store_bodies = true;
    accounting.note_refusal(refused, 429, "rate_limit_exceeded");
  }
  const bool one_writer = GetParam() == database::Dialect::Sqlite;
  EXPECT_GE(journal_.waiting(), one_writer ? Accounting::kRefusalsWaitingMax : 0);
  EXPECT_LE(journal_.waiting(), Accounting::kRefusalsWaitingMax);
  Call next = call();
  EXPECT_EQ(status_of(accounting, next), 200u);
  go_on.set_value();
  busy.join();
  const accounts::UsageRecord row = record("req_1");
  EXPECT_EQ(row.status, 429);
  EXPECT_EQ(row.model, "m");
  EXPECT_FALSE(row.admitted);
  EXPECT_EQ(row.request_body, std::nullopt);
}

}  // namespace
}  // namespace lockstep::server
