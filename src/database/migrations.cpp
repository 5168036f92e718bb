#include "database/migrations.h"

#include <chrono>

#include "base/error.h"

namespace lockstep::database {
namespace {

int64_t version_of(Transaction& transaction) {
  return transaction.execute("SELECT COALESCE(MAX(version), 0) FROM migrations").rows.at(0).integer(0);
}

}  // namespace

int64_t migrate(Database& database, const std::vector<Migration>& migrations) {
  for (size_t i = 0; i < migrations.size(); ++i)
    LOCKSTEP_CHECK(migrations[i].version == static_cast<int64_t>(i) + 1);
  const auto newest = static_cast<int64_t>(migrations.size());
  const int64_t found = database.exclusive([](Transaction& transaction) {
    transaction.execute(
        "CREATE TABLE IF NOT EXISTS migrations ("
        "version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at_s BIGINT NOT NULL)");
    return version_of(transaction);
  });
  if (found > newest) {
    user_error(
        "the database {} has version {}, and this program knows versions up to {}; use a newer program",
        database.description(), found, newest);
  }
  int64_t made = 0;
  for (const Migration& migration : migrations) {
    made += database.exclusive([&](Transaction& transaction) -> int64_t {
      if (version_of(transaction) >= migration.version) return 0;  // perhaps by another server, just now
      for (const std::string& statement : migration.statements) transaction.execute(statement);
      const auto now = std::chrono::system_clock::now().time_since_epoch();
      transaction.execute("INSERT INTO migrations (version, name, applied_at_s) VALUES ($1, $2, $3)",
                          {migration.version, migration.name,
                           int64_t{std::chrono::duration_cast<std::chrono::seconds>(now).count()}});
      return 1;
    });
  }
  return made;
}

}  // namespace lockstep::database
