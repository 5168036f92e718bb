#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>
#include <unordered_map>

#include "base/error.h"
#include "database/connection.h"

namespace lockstep::database {
namespace {

// How long one statement waits for another process's lock.
constexpr int kBusyTimeout_ms = 5000;

struct CloseDatabase {
  void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

class SqliteConnection final : public Connection {
 public:
  explicit SqliteConnection(const std::string& path) : path_(path) {
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(
        path.c_str(), &handle,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    handle_.reset(handle);
    check(code, "open");
    sqlite3_busy_timeout(handle, kBusyTimeout_ms);
    // WAL: readers and the writer do not wait for each other. With it, synchronous=NORMAL loses nothing when
    // this process is killed: a commit has been written to the file by then, and the kernel holds it. Only
    // when the machine itself fails can the last commits be missing; the file stays whole even then.
    become_wal();
    run("PRAGMA synchronous=NORMAL");
    run("PRAGMA foreign_keys=ON");
  }

  void begin(Mode mode) override {
    mode_ = mode;
    run(mode == Mode::Read ? "BEGIN" : "BEGIN IMMEDIATE");
  }

  void commit() override { run("COMMIT"); }

  void rollback() noexcept override {
    // Some errors have rolled back already.
    if (sqlite3_get_autocommit(handle_.get()) == 0) {
      sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
  }

  Result execute(std::string_view sql, const Values& values) override {
    check_texts(values);
    sqlite3_stmt* statement = compiled(sql);
    // Whatever happens, the statement ends and can be used again.
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> reset(statement, sqlite3_reset);
    if (mode_ == Mode::Read && sqlite3_stmt_readonly(statement) == 0) {
      internal_error("a reading transaction must not change anything: {}", sql);
    }
    bind(statement, values, sql);
    Result result;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) result.rows.push_back(row(statement));
    if (code != SQLITE_DONE) check(code, sql);
    if (sqlite3_stmt_readonly(statement) == 0) result.changed_rows = sqlite3_changes64(handle_.get());
    return result;
  }

 private:
  void run(const char* sql) { check(sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr), sql); }

  void become_wal() {
    // The change of the journal's kind does not wait for other connections by itself.
    constexpr const char* kSql = "PRAGMA journal_mode=WAL";
    for (int waited_ms = 0;; waited_ms += 10) {
      const int code = sqlite3_exec(handle_.get(), kSql, nullptr, nullptr, nullptr);
      if ((code & 0xff) != SQLITE_BUSY || waited_ms >= kBusyTimeout_ms) return check(code, kSql);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  sqlite3_stmt* compiled(std::string_view sql) {
    std::string key(sql);
    if (const auto found = statements_.find(key); found != statements_.end()) return found->second.get();
    sqlite3_stmt* statement = nullptr;
    const char* rest = nullptr;
    check(sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                             SQLITE_PREPARE_PERSISTENT, &statement, &rest),
          sql);
    Statement owned(statement);
    if (statement == nullptr || rest != sql.data() + sql.size())
      internal_error("this is not one statement: {}", sql);
    if (statements_.size() >= kKeptStatements) statements_.clear();
    return statements_.emplace(std::move(key), std::move(owned)).first->second.get();
  }

  void bind(sqlite3_stmt* statement, const Values& values, std::string_view sql) {
    if (static_cast<size_t>(sqlite3_bind_parameter_count(statement)) != values.size()) {
      internal_error("{} values for this statement: {}", values.size(), sql);
    }
    for (size_t i = 0; i < values.size(); ++i) {
      // SQLite takes $1 as a name, and numbers names in the order in which they first appear.
      const int index = sqlite3_bind_parameter_index(statement, fmt::format("${}", i + 1).c_str());
      if (index == 0) internal_error("${} is not in this statement: {}", i + 1, sql);
      check(bind_one(statement, index, values[i]), sql);
    }
  }

  static int bind_one(sqlite3_stmt* statement, int index, const Value& value) {
    switch (value.kind()) {
      case Value::Kind::Integer:
        return sqlite3_bind_int64(statement, index, value.integer());
      case Value::Kind::Number:
        LOCKSTEP_CHECK(std::isfinite(value.number()));
        return sqlite3_bind_double(statement, index, value.number());
      case Value::Kind::Text:
        // The values outlive the execution.
        return sqlite3_bind_text64(statement, index, value.text().data(), value.text().size(), SQLITE_STATIC,
                                   SQLITE_UTF8);
      case Value::Kind::Null:
        break;
    }
    return sqlite3_bind_null(statement, index);
  }

  static Row row(sqlite3_stmt* statement) {
    Values values;
    const int columns = sqlite3_column_count(statement);
    values.reserve(static_cast<size_t>(columns));
    for (int column = 0; column < columns; ++column) {
      switch (sqlite3_column_type(statement, column)) {
        case SQLITE_NULL:
          values.emplace_back();
          break;
        case SQLITE_INTEGER:
          values.emplace_back(int64_t{sqlite3_column_int64(statement, column)});
          break;
        case SQLITE_FLOAT:
          values.emplace_back(sqlite3_column_double(statement, column));
          break;
        default: {
          const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
          values.emplace_back(
              std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement, column))));
        }
      }
    }
    return Row(std::move(values));
  }

  void check(int code, std::string_view doing) const {
    if (code == SQLITE_OK) return;
    const std::string reason = handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(code);
    switch (code & 0xff) {
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        throw Contention(fmt::format("the database {} is locked by another process", path_));
      case SQLITE_NOTADB:
        user_error("{} is not a database of SQLite; name another file or remove this one", path_);
      case SQLITE_ERROR:
      case SQLITE_CONSTRAINT:
      case SQLITE_MISMATCH:
      case SQLITE_MISUSE:
      case SQLITE_RANGE:
      case SQLITE_TOOBIG:
        internal_error("{} refuses '{}': {}", path_, doing, reason);
      default:
        machine_error("the database {} cannot be used: {}", path_, reason);
    }
  }

  std::string path_;
  std::unique_ptr<sqlite3, CloseDatabase> handle_;
  std::unordered_map<std::string, Statement> statements_;
  Mode mode_ = Mode::Write;
};

class SqliteConnector final : public Connector {
 public:
  explicit SqliteConnector(const std::string& path) {
    description_ = path;
    std::error_code ignored;
    const std::filesystem::path folder = std::filesystem::absolute(path, ignored).parent_path();
    if (!std::filesystem::is_directory(folder, ignored)) {
      user_error("the database {} cannot be made: there is no folder {}; make it first", path,
                 folder.string());
    }
    // SQLite gives the files beside the database (-wal, -shm) the same permissions.
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) user_error("the database {} cannot be opened: {}", path, errno_text(errno));
    ::close(file);
  }

  std::unique_ptr<Connection> connect() const override {
    return std::make_unique<SqliteConnection>(description_);
  }
  Dialect dialect() const override { return Dialect::Sqlite; }
};

}  // namespace

std::unique_ptr<Connector> sqlite_connector(const std::string& path) {
  return std::make_unique<SqliteConnector>(path);
}

}  // namespace lockstep::database
