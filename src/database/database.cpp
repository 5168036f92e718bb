#include "database/database.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/printable.h"
#include "database/connection.h"

namespace lockstep::database {
namespace {

// Tries of a transaction that loses against others. With the pauses below the last comes about four seconds
// after the first; SQLite waits in each try besides (sqlite_connection.cpp).
constexpr int kTries = 20;
// Tries when connections break: one for a server that was restarted, one to spare.
constexpr int kConnections = 3;

// Longer with every try, and different for those that lost against each other.
void pause(int attempt) {
  thread_local std::minstd_rand random(std::random_device{}());
  const int longest_ms = std::min(1 << std::min(attempt, 9), 400);
  std::this_thread::sleep_for(
      std::chrono::microseconds(std::uniform_int_distribution<int>(0, longest_ms * 1000)(random)));
}

std::unique_ptr<Connector> connector_for(const std::string& place) {
  const auto scheme_end = place.find("://");
  const std::string scheme = scheme_end == std::string::npos ? "" : place.substr(0, scheme_end);
  if (scheme == "postgresql" || scheme == "postgres") return postgres_connector(place);
  if (!scheme.empty()) {
    user_error(
        "cannot use a database with the scheme '{}'; use postgresql://USER:PASSWORD@HOST:PORT/NAME or the "
        "path of an SQLite file",
        printable(scheme));
  }
  const std::string path = sqlite_path(place);
  if (path.empty()) user_error("a database needs a path or a URL, but the text is empty");
  return sqlite_connector(path);
}

}  // namespace

// ------------------------------------------------------------------------------------- values

const Value& Row::at(size_t column) const {
  LOCKSTEP_CHECK(column < values_.size());
  return values_[column];
}

const Value& Row::at(size_t column, Value::Kind kind) const {
  const Value& value = at(column);
  if (value.kind() != kind) {
    static constexpr std::array<std::string_view, 4> kNames = {"NULL", "a whole number", "a number",
                                                               "a text"};
    internal_error("column {} of a row is {}, not {}", column, kNames.at(static_cast<size_t>(value.kind())),
                   kNames.at(static_cast<size_t>(kind)));
  }
  return value;
}

bool Row::is_null(size_t column) const {
  return at(column).kind() == Value::Kind::Null;
}

int64_t Row::integer(size_t column) const {
  return at(column, Value::Kind::Integer).integer();
}

double Row::number(size_t column) const {
  if (at(column).kind() == Value::Kind::Integer) return static_cast<double>(integer(column));
  return at(column, Value::Kind::Number).number();
}

const std::string& Row::text(size_t column) const {
  return at(column, Value::Kind::Text).text();
}

std::optional<int64_t> Row::integer_or_null(size_t column) const {
  return is_null(column) ? std::nullopt : std::optional(integer(column));
}

std::optional<std::string> Row::text_or_null(size_t column) const {
  return is_null(column) ? std::nullopt : std::optional(text(column));
}

void check_texts(const Values& values) {
  for (const Value& value : values) {
    if (value.kind() != Value::Kind::Text) continue;
    if (value.text().find('\0') != std::string::npos) {
      user_error("a text with a NUL character cannot be stored; leave it out");
    }
    if (!is_utf8(value.text())) user_error("a text that is not valid UTF-8 cannot be stored");
  }
}

// --------------------------------------------------------------------------------------- pool

struct Database::Pool {
  std::unique_ptr<Connector> connector;
  size_t largest = 0;
  std::mutex mutex;
  std::condition_variable returned;
  std::vector<std::unique_ptr<Connection>> idle;
  size_t in_use = 0;
  // SQLite has one writer at a time; waiting for it here is fair and quick, its own lock is polled.
  std::mutex sqlite_writer;

  // A connection for the time of one transaction.
  class Lease {
   public:
    explicit Lease(Pool& pool) : pool_(pool) {
      std::unique_lock lock(pool_.mutex);
      pool_.returned.wait(lock, [&] { return pool_.in_use < pool_.largest; });
      ++pool_.in_use;
      if (!pool_.idle.empty()) {
        connection_ = std::move(pool_.idle.back());
        pool_.idle.pop_back();
        return;
      }
      lock.unlock();
      try {
        connection_ = pool_.connector->connect();
      } catch (...) {
        give_back();
        throw;
      }
    }
    ~Lease() { give_back(); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    Connection* operator->() { return connection_.get(); }
    Connection& operator*() { return *connection_; }
    // The connection is broken, and those that wait beside it are most likely too.
    void discard() {
      connection_.reset();
      std::vector<std::unique_ptr<Connection>> broken;
      const std::lock_guard lock(pool_.mutex);
      broken.swap(pool_.idle);
    }

   private:
    void give_back() {
      {
        const std::lock_guard lock(pool_.mutex);
        --pool_.in_use;
        if (connection_) pool_.idle.push_back(std::move(connection_));
      }
      pool_.returned.notify_one();
    }

    Pool& pool_;
    std::unique_ptr<Connection> connection_;
  };
};

std::string sqlite_path(const std::string& place) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (place.find("://") != std::string::npos) return "";
  return place.starts_with(kSqlite) ? place.substr(kSqlite.size()) : place;
}

Database::Database(const std::string& place, size_t connections) : pool_(std::make_unique<Pool>()) {
  pool_->connector = connector_for(place);
  pool_->largest = std::max<size_t>(connections, 1);
  const Pool::Lease first(*pool_);
}

Database::~Database() = default;

Dialect Database::dialect() const {
  return pool_->connector->dialect();
}

const std::string& Database::description() const {
  return pool_->connector->description();
}

void Database::run(Mode mode, const std::function<void(Transaction&)>& function) {
  std::unique_lock<std::mutex> writer;
  if (mode != Mode::Read && dialect() == Dialect::Sqlite) writer = std::unique_lock(pool_->sqlite_writer);
  int lost = 0;
  for (int attempt = 1;; ++attempt) {
    Pool::Lease connection(*pool_);
    try {
      connection->begin(mode);
      function(*connection);
      connection->commit();
      return;
    } catch (const ConnectionLost& error) {
      connection.discard();
      if (error.maybe_committed() || ++lost == kConnections) throw;
    } catch (const Contention& error) {
      connection->rollback();
      if (attempt == kTries) {
        machine_error("{} is too busy: {} tries of a transaction failed, the last with: {}", description(),
                      attempt, error.what());
      }
    } catch (...) {
      connection->rollback();
      throw;
    }
    pause(attempt);
  }
}

Result Database::execute(std::string_view sql, const Values& values) {
  return write([&](Transaction& transaction) { return transaction.execute(sql, values); });
}

}  // namespace lockstep::database
