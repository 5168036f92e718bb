// One connection to a database, as database.cpp keeps them in its pool. For this folder only.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "database/database.h"

namespace lockstep::database {

// Statements that a connection keeps compiled; a program has fewer, except for searches that are put
// together.
inline constexpr size_t kKeptStatements = 200;

// Lost against another transaction: nothing has happened, and the same again may work.
class Contention : public Error {
 public:
  explicit Contention(const std::string& message) : Error(ErrorKind::Machine, message) {}
};

// The connection is gone, and with it the transaction.
class ConnectionLost : public Error {
 public:
  ConnectionLost(const std::string& message, bool maybe_committed)
      : Error(ErrorKind::Machine, message), maybe_committed_(maybe_committed) {}
  bool maybe_committed() const { return maybe_committed_; }

 private:
  bool maybe_committed_;
};

// THREAD: one at a time. Throws the errors of Database, and those above.
class Connection : public Transaction {
 public:
  virtual ~Connection() = default;
  virtual void begin(Mode mode) = 0;
  virtual void commit() = 0;
  // Of what was begun, if anything was.
  virtual void rollback() noexcept = 0;
};

// How to connect.
class Connector {
 public:
  virtual ~Connector() = default;
  virtual std::unique_ptr<Connection> connect() const = 0;
  virtual Dialect dialect() const = 0;
  // As Database::description.
  const std::string& description() const { return description_; }

 protected:
  std::string description_;
};

std::unique_ptr<Connector> sqlite_connector(const std::string& path);
std::unique_ptr<Connector> postgres_connector(const std::string& url);

// Throws a user's error if a text among the values cannot be stored (Transaction::execute).
void check_texts(const Values& values);

}  // namespace lockstep::database
