#include "database/database.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "database/migrations.h"
#include "database/test_databases.h"

namespace lockstep::database {
namespace {

using store::contains;

// The error that `action` throws; fails if it throws none.
template <class Action>
Error error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorKind::Internal, "");
}

class DatabaseTest : public testing::TestWithParam<Dialect> {
 protected:
  TestPlace place_{GetParam()};
  Database database_{place_.place()};

  int64_t count(const std::string& table) {
    return database_.read([&](Transaction& transaction) {
      return transaction.execute("SELECT COUNT(*) FROM " + table).rows.at(0).integer(0);
    });
  }
};

INSTANTIATE_TEST_SUITE_P(Both, DatabaseTest, both_dialects(), dialect_name);

TEST_P(DatabaseTest, ValuesComeBackAsTheyWere) {
  EXPECT_EQ(database_.dialect(), GetParam());
  database_.execute("CREATE TABLE things (id BIGINT, share DOUBLE PRECISION, name TEXT)");
  const std::string hard = "it's \"$1\" \\ \n\t\x7f ö 🦙 -- ";
  database_.execute("INSERT INTO things (name, share, id) VALUES ($3, $2, $1)",
                    {int64_t{-9223372036854775807} - 1, 0.1, hard});
  database_.execute("INSERT INTO things VALUES ($1, $2, $3)", {int64_t{9223372036854775807}, 1e300, ""});
  database_.execute("INSERT INTO things VALUES ($1, $2, $3)",
                    {std::optional<int64_t>(), Value(), std::optional<std::string>("only a name")});
  const Result result = database_.execute("SELECT id, share, name FROM things ORDER BY name");
  ASSERT_EQ(result.rows.size(), 3u);
  EXPECT_EQ(result.rows[0].integer(0), INT64_MAX);
  EXPECT_EQ(result.rows[0].number(1), 1e300);
  EXPECT_EQ(result.rows[0].text(2), "");
  EXPECT_EQ(result.rows[1].integer(0), INT64_MIN);
  EXPECT_EQ(result.rows[1].number(1), 0.1);
  EXPECT_EQ(result.rows[1].text(2), hard);
  EXPECT_TRUE(result.rows[2].is_null(0));
  EXPECT_EQ(result.rows[2].integer_or_null(0), std::nullopt);
  EXPECT_EQ(result.rows[2].text_or_null(2), "only a name");
  EXPECT_EQ(result.rows[2].size(), 3u);
  EXPECT_EQ(error_of([&] { result.rows[2].integer(0); }).kind(), ErrorKind::Internal);
  EXPECT_EQ(error_of([&] { result.rows[2].text(3); }).kind(), ErrorKind::Internal);
}

TEST_P(DatabaseTest, SumsAndComparisonsAreNumbers) {
  database_.execute("CREATE TABLE numbers (n BIGINT)");
  database_.execute("INSERT INTO numbers VALUES ($1), ($2), ($1)", {int64_t{4'000'000'000}, int64_t{5}});
  const Result result =
      database_.execute("SELECT SUM(n), COUNT(*), AVG(n) > 1, SUM(n) * 0.5, MAX(n) / 1000 FROM numbers");
  EXPECT_EQ(result.rows.at(0).integer(0), 8'000'000'005);
  EXPECT_EQ(result.rows.at(0).integer(1), 3);
  EXPECT_EQ(result.rows.at(0).integer(2), 1);
  EXPECT_EQ(result.rows.at(0).number(3), 4'000'000'002.5);
  EXPECT_EQ(result.rows.at(0).integer(4), 4'000'000);
}

TEST_P(DatabaseTest, ChangedRowsAreCounted) {
  EXPECT_EQ(database_.execute("CREATE TABLE things (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)").changed_rows,
            0);
  const char* insert = "INSERT INTO things VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
  EXPECT_EQ(database_.execute(insert, {int64_t{1}, int64_t{10}}).changed_rows, 1);
  EXPECT_EQ(database_.execute(insert, {int64_t{1}, int64_t{11}}).changed_rows, 0);
  EXPECT_EQ(database_.execute(insert, {int64_t{2}, int64_t{20}}).changed_rows, 1);
  EXPECT_EQ(database_.execute("SELECT n FROM things").changed_rows, 0);
  EXPECT_EQ(database_.execute("UPDATE things SET n = n + $1", {int64_t{1}}).changed_rows, 2);
  const Result returned = database_.execute(
      "INSERT INTO things VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = things.n + $2 RETURNING n",
      {int64_t{1}, int64_t{100}});
  EXPECT_EQ(returned.rows.at(0).integer(0), 111);
  EXPECT_EQ(returned.changed_rows, 1);
  EXPECT_EQ(database_.execute("DELETE FROM things WHERE n < $1", {int64_t{50}}).changed_rows, 1);
}

TEST_P(DatabaseTest, TextsThatOneOfThemCannotHoldAreRefusedByBoth) {
  database_.execute("CREATE TABLE texts (t TEXT)");
  const auto store = [&](const std::string& text) {
    database_.execute("INSERT INTO texts VALUES ($1)", {text});
  };
  const Error nul = error_of([&] { store(std::string("a\0b", 3)); });
  EXPECT_EQ(nul.kind(), ErrorKind::User);
  EXPECT_TRUE(contains(nul.what(), "NUL"));
  const Error broken = error_of([&] { store("caf\xe9"); });
  EXPECT_EQ(broken.kind(), ErrorKind::User);
  EXPECT_TRUE(contains(broken.what(), "UTF-8"));
  EXPECT_EQ(count("texts"), 0);
}

TEST_P(DatabaseTest, AThrownErrorRollsBack) {
  database_.execute("CREATE TABLE things (id BIGINT)");
  EXPECT_THROW(database_.write([](Transaction& transaction) {
    transaction.execute("INSERT INTO things VALUES (1)");
    throw std::runtime_error("no");
  }),
               std::runtime_error);
  EXPECT_EQ(count("things"), 0);
  // After an error of a statement nothing of the transaction stays, and the connection is as before.
  EXPECT_EQ(error_of([&] {
              database_.write([](Transaction& transaction) {
                transaction.execute("INSERT INTO things VALUES (1)");
                transaction.execute("INSERT INTO no_such_table VALUES (1)");
              });
            }).kind(),
            ErrorKind::Internal);
  EXPECT_EQ(count("things"), 0);
  EXPECT_EQ(database_.write([](Transaction& transaction) {
    return transaction.execute("INSERT INTO things VALUES (1)").changed_rows;
  }),
            1);
  EXPECT_EQ(count("things"), 1);
}

TEST_P(DatabaseTest, ConstraintsHold) {
  database_.execute("CREATE TABLE parents (id BIGINT PRIMARY KEY)");
  database_.execute(
      "CREATE TABLE children (id BIGINT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES parents (id))");
  database_.execute("INSERT INTO parents VALUES (1)");
  database_.execute("INSERT INTO children VALUES (1, 1)");
  for (const char* statement : {"INSERT INTO children VALUES (2, 7)", "INSERT INTO children VALUES (1, 1)",
                                "INSERT INTO children VALUES (2, NULL)", "DELETE FROM parents"}) {
    EXPECT_EQ(error_of([&] { database_.execute(statement); }).kind(), ErrorKind::Internal) << statement;
  }
}

TEST_P(DatabaseTest, MistakesInStatementsAreOurs) {
  for (const char* statement : {"SELEKT 1", "SELECT 1; SELECT 2", "SELECT no_such_column"}) {
    EXPECT_EQ(error_of([&] { database_.execute(statement); }).kind(), ErrorKind::Internal) << statement;
  }
}

TEST_P(DatabaseTest, AReadingTransactionChangesNothing) {
  database_.execute("CREATE TABLE things (id BIGINT)");
  EXPECT_EQ(error_of([&] {
              database_.read(
                  [](Transaction& transaction) { transaction.execute("INSERT INTO things VALUES (1)"); });
            }).kind(),
            ErrorKind::Internal);
  EXPECT_EQ(count("things"), 0);
}

TEST_P(DatabaseTest, AReadingTransactionSeesOneState) {
  database_.execute("CREATE TABLE things (id BIGINT)");
  database_.read([&](Transaction& transaction) {
    const auto seen = [&] {
      return transaction.execute("SELECT COUNT(*) FROM things").rows.at(0).integer(0);
    };
    EXPECT_EQ(seen(), 0);
    std::thread([&] { database_.execute("INSERT INTO things VALUES (1)"); }).join();
    EXPECT_EQ(seen(), 0);
  });
  EXPECT_EQ(count("things"), 1);
}

// Eight threads in each of two pools (as two servers): every one reads a number and writes it plus one.
TEST_P(DatabaseTest, TransactionsAreAsIfOneAfterTheOther) {
  database_.execute("CREATE TABLE counter (n BIGINT NOT NULL)");
  database_.execute("INSERT INTO counter VALUES (0)");
  Database other(place_.place(), 3);
  constexpr int kThreads = 3;
  constexpr int kRounds = 8;
  std::vector<std::thread> threads;
  for (Database* database : {&database_, &other}) {
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([database] {
        for (int i = 0; i < kRounds; ++i) {
          database->write([](Transaction& transaction) {
            const int64_t n = transaction.execute("SELECT n FROM counter").rows.at(0).integer(0);
            transaction.execute("UPDATE counter SET n = $1", {n + 1});
          });
        }
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(database_.execute("SELECT n FROM counter").rows.at(0).integer(0), 2 * kThreads * kRounds);
}

TEST_P(DatabaseTest, ExclusiveOnesSeeWhatTheOnesBeforeDid) {
  database_.execute("CREATE TABLE firsts (n BIGINT NOT NULL)");
  Database other(place_.place(), 2);
  std::atomic<int> makers{0};
  std::vector<std::thread> threads;
  for (Database* database : {&database_, &other, &database_, &other}) {
    threads.emplace_back([&, database] {
      makers += database->exclusive([](Transaction& transaction) {
        if (transaction.execute("SELECT COUNT(*) FROM firsts").rows.at(0).integer(0) > 0) return 0;
        transaction.execute("INSERT INTO firsts VALUES (1)");
        return 1;
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(makers, 1);
  EXPECT_EQ(count("firsts"), 1);
}

TEST_P(DatabaseTest, MoreThreadsThanConnectionsWait) {
  Database small(place_.place(), 2);
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      small.read([&](Transaction& transaction) {
        transaction.execute("SELECT 1");
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      });
      ++done;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 8);
}

// --------------------------------------------------------------------------------- migrations

const std::vector<Migration>& steps() {
  static const std::vector<Migration> steps = {
      {1, "things", {"CREATE TABLE things (id BIGINT PRIMARY KEY)", "INSERT INTO things VALUES (1)"}},
      {2, "names", {"ALTER TABLE things ADD COLUMN name TEXT", "UPDATE things SET name = 'first'"}}};
  return steps;
}

TEST_P(DatabaseTest, MigrationsRunOnce) {
  EXPECT_EQ(migrate(database_, {steps()[0]}), 1);
  EXPECT_EQ(migrate(database_, {steps()[0]}), 0);
  database_.execute("INSERT INTO things VALUES (2)");
  EXPECT_EQ(migrate(database_, steps()), 1);
  EXPECT_EQ(migrate(database_, steps()), 0);
  const Result result = database_.execute("SELECT version, name FROM migrations ORDER BY version");
  ASSERT_EQ(result.rows.size(), 2u);
  EXPECT_EQ(result.rows[1].text(1), "names");
  EXPECT_EQ(database_.execute("SELECT name FROM things WHERE id = 2").rows.at(0).text(0), "first");
}

TEST_P(DatabaseTest, AFailedStepLeavesTheOneBefore) {
  const std::vector<Migration> broken = {
      steps()[0], {2, "broken", {"CREATE TABLE others (id BIGINT)", "INSERT INTO no_such_table VALUES (1)"}}};
  EXPECT_EQ(error_of([&] { migrate(database_, broken); }).kind(), ErrorKind::Internal);
  EXPECT_EQ(count("things"), 1);
  EXPECT_EQ(count("migrations"), 1);
  EXPECT_EQ(error_of([&] { count("others"); }).kind(), ErrorKind::Internal);
  EXPECT_EQ(migrate(database_, steps()), 1);
}

TEST_P(DatabaseTest, ANewerDatabaseIsTheUsersError) {
  migrate(database_, steps());
  const Error error = error_of([&] { migrate(database_, {steps()[0]}); });
  EXPECT_EQ(error.kind(), ErrorKind::User);
  EXPECT_TRUE(contains(error.what(), "has version 2, and this program knows versions up to 1"));
}

TEST_P(DatabaseTest, ServersThatStartTogetherMigrateOnce) {
  Database other(place_.place());
  std::atomic<int64_t> made{0};
  std::vector<std::thread> threads;
  for (Database* database : {&database_, &other, &database_, &other}) {
    threads.emplace_back([&made, database] { made += migrate(*database, steps()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 2);
}

// -------------------------------------------------------------------------------- one of them

TEST(Sqlite, FilesAreForTheirOwnerOnly) {
  const store::TemporaryFolder folder;
  Database database("sqlite:" + (folder / "a.db").string());
  database.execute("CREATE TABLE things (id BIGINT)");
  for (const char* name : {"a.db", "a.db-wal"}) {
    struct stat status {};
    ASSERT_EQ(::stat((folder / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
  }
}

TEST(Sqlite, EveryParameterHasAValue) {
  const TestPlace place(Dialect::Sqlite);
  Database database(place.place());
  EXPECT_EQ(error_of([&] { database.execute("SELECT $1"); }).kind(), ErrorKind::Internal);
  EXPECT_EQ(error_of([&] { database.execute("SELECT $1", {1, 2}); }).kind(), ErrorKind::Internal);
  EXPECT_EQ(error_of([&] { database.execute("SELECT $2", {1}); }).kind(), ErrorKind::Internal);
}

TEST(Sqlite, PlacesNameFiles) {
  EXPECT_EQ(sqlite_path("folder/x.db"), "folder/x.db");
  EXPECT_EQ(sqlite_path("sqlite:x.db"), "x.db");
  EXPECT_EQ(sqlite_path("postgresql://user@host/name"), "");
}

TEST(Sqlite, BadPlacesAreTheUsersErrors) {
  const store::TemporaryFolder folder;
  std::ofstream(folder / "text") << std::string(5000, 'x');
  const auto opening = [](const std::string& place) {
    const Error error = error_of([&] { Database database(place); });
    EXPECT_EQ(error.kind(), ErrorKind::User) << place;
    return std::string(error.what());
  };
  EXPECT_TRUE(contains(opening((folder / "text").string()), "not a database"));
  EXPECT_TRUE(contains(opening((folder / "none/a.db").string()), "there is no folder"));
  EXPECT_TRUE(contains(opening(folder.path().string()), "cannot be opened"));
  EXPECT_TRUE(contains(opening("mysql://host/name"), "'mysql'"));
  EXPECT_TRUE(contains(opening(""), "empty"));
  EXPECT_TRUE(contains(opening("sqlite:"), "empty"));
}

TEST(Postgres, AServerThatIsNotThereIsTheMachinesErrorWithoutThePassword) {
  const store::TemporaryFolder folder;
  const Error error = error_of([&] {
    Database database("postgresql://me:pass%77ord-123@/books?port=5433&host=" + folder.path().string());
  });
  EXPECT_EQ(error.kind(), ErrorKind::Machine);
  EXPECT_TRUE(contains(error.what(),
                       "cannot reach the database postgresql://" + folder.path().string() + ":5433/books"));
  EXPECT_FALSE(contains(error.what(), "password-123"));
  EXPECT_FALSE(contains(error.what(), "\n"));
}

TEST(Postgres, ABadUrlIsTheUsersErrorWithoutThePassword) {
  for (const char* url : {"postgresql://me:secret-123@host:port:port/x?y", "postgres://me@/x?secret-123=1",
                          "postgresql://me:secret-123%zz@host/x"}) {
    const Error error = error_of([&] { Database database{std::string(url)}; });
    EXPECT_EQ(error.kind(), ErrorKind::User) << url;
    EXPECT_FALSE(contains(error.what(), "secret-123")) << url;
  }
}

TEST(Postgres, PasswordsWorkAndAreNotTold) {
  const TestPlace place(Dialect::Postgres);
  Database administration(place.place());
  administration.execute("CREATE ROLE careful LOGIN PASSWORD 'top-secret'");
  const auto url = [&](const std::string& password) {
    std::string text = place.place();
    return text.replace(text.find("postgres@"), 9, "careful:" + password + "@");
  };
  Database database(url("top-secret"));
  EXPECT_EQ(database.execute("SELECT CURRENT_USER").rows.at(0).text(0), "careful");
  EXPECT_FALSE(contains(database.description(), "top-secret"));
  const Error error = error_of([&] { Database refused(url("wrong-one")); });
  EXPECT_EQ(error.kind(), ErrorKind::Machine);
  EXPECT_TRUE(contains(error.what(), "password authentication failed"));
  EXPECT_FALSE(contains(error.what(), "wrong-one"));
}

TEST(Postgres, BrokenConnectionsAreMadeAgain) {
  const TestPlace place(Dialect::Postgres);
  Database database(place.place());
  database.execute("CREATE TABLE things (id BIGINT)");
  postgres_server().stop();
  EXPECT_EQ(error_of([&] { database.execute("INSERT INTO things VALUES (1)"); }).kind(), ErrorKind::Machine);
  postgres_server().start();
  database.execute("INSERT INTO things VALUES (2)");

  // In the middle of a transaction: it runs again from its start.
  int runs = 0;
  database.write([&](Transaction& transaction) {
    transaction.execute("INSERT INTO things VALUES (3)");
    if (++runs == 1) {
      std::thread([&] {
        Database(place.place())
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                "datname = current_database()");
      }).join();
    }
    transaction.execute("INSERT INTO things VALUES (4)");
  });
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(database.execute("SELECT COUNT(*), SUM(id) FROM things").rows.at(0).integer(1), 9);
}

}  // namespace
}  // namespace lockstep::database
