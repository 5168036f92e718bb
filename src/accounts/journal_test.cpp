#include "accounts/journal.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "accounts/test_accounts.h"

namespace lockstep::accounts {
namespace {

using database::Transaction;
using store::contains;

UsageRecord record(const std::string& id, const Caller& caller) {
  UsageRecord record;
  record.request_id = id;
  record.time_ms = now_ms();
  record.organisation_id = caller.organisation_id;
  record.project_id = caller.project_id;
  record.key_id = caller.key_id;
  record.model = "m";
  record.cost = 10;
  return record;
}

class JournalTest : public AccountsFixture {
 protected:
  UsageRecord record(const std::string& id) { return accounts::record(id, owner_.caller()); }
  std::string id(int i) { return "req_" + std::to_string(i); }
  int64_t count() { return database_.execute("SELECT COUNT(*) FROM request_log").rows.at(0).integer(0); }

  Access owner_ = new_owner();
};
INSTANTIATE_TEST_SUITE_P(Both, JournalTest, database::both_dialects(), database::dialect_name);

TEST_P(JournalTest, WhatIsDoneIsThere) {
  Journal journal(accounts());
  std::atomic<int> done{0};
  std::atomic<int> missing{0};
  for (int i = 0; i < 20; ++i) {
    journal.add(record(id(i)), [&, i](const Error* error) {
      EXPECT_EQ(error, nullptr);
      if (database_.execute("SELECT 1 FROM request_log WHERE request_id = $1", {id(i)}).rows.empty())
        ++missing;
      ++done;
    });
  }
  journal.flush();
  EXPECT_EQ(done, 20);
  EXPECT_EQ(missing, 0);
  EXPECT_EQ(journal.waiting(), 0u);
  EXPECT_EQ(count(), 20);
}

TEST_P(JournalTest, ManyThreadsAndRecordsTwice) {
  std::atomic<int> done{0};
  {
    Journal journal(accounts());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 100; ++i) {
          journal.add(record(id(t / 2 * 100 + i)), [&](const Error* error) { done += error == nullptr; });
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }  // the end writes all that waits
  EXPECT_EQ(done, 400);
  EXPECT_EQ(count(), 200);
  EXPECT_EQ(accounts().spending().spent(owner_.caller().project_id, now_ms()), 2000);
}

TEST_P(JournalTest, WhatGoesAlongIsCommittedWithTheRecord) {
  database_.execute("CREATE TABLE lines (id BIGINT PRIMARY KEY)");
  Journal journal(accounts());
  std::vector<std::string> errors(3);
  const auto add = [&](int i, const std::string& statement) {
    journal.add(
        record(id(i)),
        [&errors, i](const Error* error) {
          errors[static_cast<size_t>(i)] = error == nullptr ? "" : error->what();
        },
        [statement](Transaction& transaction) { transaction.execute(statement); });
  };
  add(0, "INSERT INTO lines VALUES (0)");
  add(1, "INSERT INTO no_such_table VALUES (1)");
  add(2, "INSERT INTO lines VALUES (2)");
  journal.flush();
  EXPECT_EQ(errors[0], "");
  EXPECT_TRUE(contains(errors[1], "no_such_table"));
  EXPECT_EQ(errors[2], "");
  EXPECT_EQ(count(), 2);
  EXPECT_EQ(database_.execute("SELECT COUNT(*) FROM lines").rows.at(0).integer(0), 2);
}

TEST_P(JournalTest, ABadRecordTakesNoOtherAlong) {
  Journal journal(accounts());
  std::atomic<int> good{0};
  std::atomic<int> bad{0};
  for (int i = 0; i < 10; ++i) {
    UsageRecord next = record(id(i));
    if (i == 4) next.model = "caf\xe9";
    journal.add(next, [&](const Error* error) { ++(error == nullptr ? good : bad); });
  }
  journal.flush();
  EXPECT_EQ(good, 9);
  EXPECT_EQ(bad, 1);
  EXPECT_EQ(count(), 9);
}

TEST_P(JournalTest, AFullQueueSaysSo) {
  JournalOptions options;
  options.capacity = 3;
  options.largest_commit = 1;
  Journal journal(accounts(), options);
  std::mutex gate;
  gate.lock();
  std::atomic<bool> waits{false};
  journal.add(record("req_first"), [&](const Error*) {
    waits = true;
    const std::lock_guard lock(gate);
  });
  while (!waits) std::this_thread::yield();
  std::atomic<int> done{0};
  std::string refused;
  for (int i = 0; i < 4; ++i) {
    journal.add(record(id(i)), [&](const Error* error) {
      if (error != nullptr) {
        refused = error->what();
      } else {
        ++done;
      }
    });
  }
  EXPECT_TRUE(contains(refused, "3 records waiting"));
  EXPECT_EQ(journal.waiting(), 4u);
  gate.unlock();
  journal.flush();
  EXPECT_EQ(done, 3);
  EXPECT_EQ(count(), 4);
}

TEST_P(JournalTest, TheSpendIsKnownWhenTheRecordIs) {
  owner_.set_spend_cap(Subject::Organisation, owner_.caller().organisation_id, 20);
  Journal journal(accounts());
  journal.add(record(id(0)));
  journal.flush();
  EXPECT_FALSE(accounts().spending().check(owner_.caller(), now_ms()));
  journal.add(record(id(1)));
  journal.flush();
  const auto refusal = accounts().spending().check(owner_.caller(), now_ms());
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->spent, 20);
}

class Outage : public AccountsFixture {};
INSTANTIATE_TEST_SUITE_P(Both, Outage, testing::Values(database::Dialect::Postgres), database::dialect_name);

TEST_P(Outage, RecordsWaitForTheDatabaseAndAreGivenUpAloud) {
  const Caller caller = new_owner().caller();
  JournalOptions options;
  options.give_up_after = std::chrono::milliseconds(300);
  std::atomic<int> done{0};
  std::atomic<int> lost{0};
  const Journal::Done count = [&](const Error* error) { ++(error == nullptr ? done : lost); };
  Journal patient(accounts());
  Journal hasty(accounts(), options);
  database::postgres_server().stop();
  patient.add(record("req_patient", caller), count);
  hasty.add(record("req_hasty", caller), count);
  hasty.flush();
  EXPECT_EQ(lost, 1);
  EXPECT_THROW(accounts().refresh(), Error);
  EXPECT_FALSE(accounts().database_reachable());
  database::postgres_server().start();
  patient.flush();
  EXPECT_EQ(done, 1);
  hasty.add(record("req_hasty", caller), count);
  hasty.flush();
  EXPECT_EQ(done, 2);
  EXPECT_EQ(database_.execute("SELECT COUNT(*) FROM request_log").rows.at(0).integer(0), 2);
  accounts().refresh();
  EXPECT_TRUE(accounts().database_reachable());
}

// A child writes and tells, by a line in a pipe, of every record that is done; it is killed in the middle.
// What it told of is there, and nothing is there twice or half.
class Killed : public testing::TestWithParam<database::Dialect> {};
INSTANTIATE_TEST_SUITE_P(Both, Killed, database::both_dialects(), database::dialect_name);

TEST_P(Killed, LosesAndDoublesNothingThatWasDone) {
  const database::TestPlace place(GetParam());
  constexpr int kLines = 300;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  // The parent has no connection and no thread yet: all that the child uses is its own.
  const pid_t child = store::start_child([&] {
    ::close(ends[0]);
    database::Database database(place.place());
    database::migrate(database, schema());
    Accounts accounts(database);
    const Caller caller = *accounts.authenticate(accounts.first_start()->secret, now_ms());
    database.execute("CREATE TABLE lines (request_id TEXT PRIMARY KEY)");
    JournalOptions options;
    options.largest_commit = 20;
    Journal journal(accounts, options);
    for (int i = 0;; ++i) {
      const std::string id = "req_" + std::to_string(i);
      journal.add(
          record(id, caller),
          [&ends, line = id + "\n"](const Error* error) {
            if (error == nullptr && ::write(ends[1], line.data(), line.size()) < 0) ::_exit(1);
          },
          [id](Transaction& transaction) { transaction.execute("INSERT INTO lines VALUES ($1)", {id}); });
      if (i % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return 0;
  });
  ::close(ends[1]);
  FILE* pipe = ::fdopen(ends[0], "r");
  std::set<std::string> told;
  std::array<char, 100> line;
  while (std::fgets(line.data(), static_cast<int>(line.size()), pipe) != nullptr) {
    std::string text(line.data());
    if (text.ends_with('\n')) told.insert(text.substr(0, text.size() - 1));
    if (told.size() == kLines) ::kill(child, SIGKILL);
  }
  std::fclose(pipe);
  EXPECT_EQ(store::wait_for(child), -SIGKILL);
  EXPECT_GE(told.size(), static_cast<size_t>(kLines));

  database::Database database(place.place());
  std::set<std::string> stored;
  for (const database::Row& row : database.execute("SELECT request_id FROM request_log").rows) {
    EXPECT_TRUE(stored.insert(row.text(0)).second) << row.text(0);
  }
  for (const std::string& id : told) EXPECT_TRUE(stored.contains(id)) << id;
  const auto stored_count = static_cast<int64_t>(stored.size());
  EXPECT_EQ(database.execute("SELECT COUNT(*) FROM lines").rows.at(0).integer(0), stored_count);
  for (const database::Row& row : database.execute("SELECT spent FROM month_spend").rows) {
    EXPECT_EQ(row.integer(0), 10 * stored_count);
  }
}

}  // namespace
}  // namespace lockstep::accounts
