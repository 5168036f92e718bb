// SQL storage with one face for SQLite and PostgreSQL: statements with parameters, rows, transactions.
//
// The SQL is the part that both understand: $1, $2, ... for parameters; BIGINT, DOUBLE PRECISION and TEXT for
// columns (truth is 0 or 1, times are milliseconds since 1970); ON CONFLICT, RETURNING, WITH, LIMIT.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace lockstep::database {

// NULL, a whole number, a finite number, or a text: UTF-8 without a NUL character, as PostgreSQL has it.
class Value {
 public:
  enum class Kind : uint8_t { Null, Integer, Number, Text };

  // Implicit, so that a list of values reads like a list.
  Value() = default;
  template <std::integral T>
  requires(!std::same_as<T, bool> && (std::signed_integral<T> || sizeof(T) < 8)) Value(T value)
      : kind_(Kind::Integer), integer_(value) {}
  Value(double value) : kind_(Kind::Number), number_(value) {}
  Value(std::string value) : kind_(Kind::Text), text_(std::move(value)) {}
  Value(std::string_view value) : Value(std::string(value)) {}
  Value(const char* value) : Value(std::string(value)) {}
  // An empty optional is NULL.
  template <class T>
  Value(const std::optional<T>& value) : Value(value ? Value(*value) : Value()) {}

  Kind kind() const { return kind_; }
  // Of the kind's own only.
  int64_t integer() const { return integer_; }
  double number() const { return number_; }
  const std::string& text() const { return text_; }

 private:
  Kind kind_ = Kind::Null;
  int64_t integer_ = 0;
  double number_ = 0;
  std::string text_;
};
using Values = std::vector<Value>;

// One row of a result. A column that is read as something that it is not is an error of ours (Internal), as
// is NULL where the name does not say otherwise.
class Row {
 public:
  explicit Row(Values values) : values_(std::move(values)) {}

  size_t size() const { return values_.size(); }
  bool is_null(size_t column) const;
  int64_t integer(size_t column) const;
  // Takes a whole number too.
  double number(size_t column) const;
  const std::string& text(size_t column) const;
  std::optional<int64_t> integer_or_null(size_t column) const;
  std::optional<std::string> text_or_null(size_t column) const;

 private:
  const Value& at(size_t column) const;
  const Value& at(size_t column, Value::Kind kind) const;

  Values values_;
};

struct Result {
  std::vector<Row> rows;
  int64_t changed_rows = 0;  // inserted, updated or deleted
};

// Given to the functions of Database::read, write and exclusive; lives as long as their call.
class Transaction {
 public:
  // Runs one statement. The whole result comes into memory, so that whoever may have many rows reads pages.
  // A text with a NUL character or broken UTF-8 among the values is a user's error.
  virtual Result execute(std::string_view sql, const Values& values = {}) = 0;

 protected:
  ~Transaction() = default;
};

enum class Dialect : uint8_t { Sqlite, Postgres };

// What a transaction needs.
enum class Mode : uint8_t { Read, Write, Exclusive };

// The path of the SQLite file that a Database's `place` names; empty where it names a server's database.
std::string sqlite_path(const std::string& place);

// A database and a small pool of connections to it. THREAD: any; every transaction has a connection of its
// own while it runs, and waits for one when all are in use. A transaction must not start another inside: that
// can wait for itself.
//
// Errors: the machine's (server unreachable, disk full, still busy after all tries), in one sentence that
// never holds the password; the user's (bad URL, no such folder, a file that is no database); ours (a
// statement that the database refuses, a violated constraint).
class Database {
 public:
  // `place` is postgresql://USER:PASSWORD@HOST:PORT/NAME (also postgres://), sqlite:PATH, or a path. A file
  // that is not there is made, readable by its owner only; its folder must exist. Connects once, so that what
  // is wrong is said at the start.
  explicit Database(const std::string& place, size_t connections = 8);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Each runs `function`(Transaction&) in a transaction, commits when it returns, gives back what it gave,
  // and rolls back when it throws. A transaction that lost against another, or whose connection broke before
  // the commit, is run again, up to a bound: what `function` changes outside of the database must bear that.
  // If the connection breaks during the commit, nobody knows whether it happened: a machine's error says so,
  // and a caller may try again if doing it twice is the same as once.
  //
  // read: one consistent state, no changes.
  template <class Function>
  auto read(Function&& function) {
    return run_for_result(Mode::Read, std::forward<Function>(function));
  }
  // write: as if no other transaction ran at the same time (serializable).
  template <class Function>
  auto write(Function&& function) {
    return run_for_result(Mode::Write, std::forward<Function>(function));
  }
  // exclusive: no other exclusive one, of any process, runs at the same time, and each sees all that the one
  // before did. For migrations and first starts.
  template <class Function>
  auto exclusive(Function&& function) {
    return run_for_result(Mode::Exclusive, std::forward<Function>(function));
  }

  // One statement in a writing transaction of its own.
  Result execute(std::string_view sql, const Values& values = {});

  Dialect dialect() const;
  // For messages: the path, or the URL without user and password.
  const std::string& description() const;

 private:
  struct Pool;

  template <class Function>
  auto run_for_result(Mode mode, Function&& function) {
    using Returned = std::invoke_result_t<Function&, Transaction&>;
    if constexpr (std::is_void_v<Returned>) {
      run(mode, function);
    } else {
      std::optional<Returned> returned;
      run(mode, [&](Transaction& transaction) { returned.emplace(function(transaction)); });
      return std::move(*returned);
    }
  }
  void run(Mode mode, const std::function<void(Transaction&)>& function);

  std::unique_ptr<Pool> pool_;
};

}  // namespace lockstep::database
