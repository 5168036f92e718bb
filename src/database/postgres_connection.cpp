#include <fmt/format.h>
#include <libpq-fe.h>

#include <charconv>
#include <cmath>
#include <map>
#include <pqxx/pqxx>
#include <unordered_map>

#include "base/error.h"
#include "database/connection.h"

namespace lockstep::database {
namespace {

// The types of columns that are numbers: their fixed numbers in PostgreSQL's table pg_type.
enum : pqxx::oid {
  kBool = 16,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kFloat4 = 700,
  kFloat8 = 701,
  kNumeric = 1700,
};

// Any number that only exclusive transactions of this program lock.
constexpr int64_t kExclusiveLock = 0x6c6f636b73746570;

// What a URL leaves open. A server that vanishes without a word is noticed within half a minute.
const std::map<std::string, std::string> kDefaults = {
    {"application_name", "lockstep"}, {"connect_timeout", "5"},  {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},     {"keepalives_count", "3"}, {"tcp_user_timeout", "20000"},
    {"client_encoding", "UTF8"},
};

// The parts of a URL, by the names that libpq gives them.
std::map<std::string, std::string> parts_of(const std::string& url) {
  char* reason = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(url.c_str(), &reason), PQconninfoFree);
  // The reason would repeat parts of the URL, perhaps the password.
  PQfreemem(reason);
  if (!options) {
    user_error(
        "the database's URL cannot be read; write postgresql://USER:PASSWORD@HOST:PORT/NAME, and %XX for "
        "special characters of the password");
  }
  std::map<std::string, std::string> parts = kDefaults;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) parts[option->keyword] = option->val;
  }
  return parts;
}

// KEY='VALUE' KEY='VALUE', as libpq reads it.
std::string conninfo(const std::map<std::string, std::string>& parts) {
  std::string text;
  for (const auto& [key, value] : parts) {
    text += key + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') text += '\\';
      text += c;
    }
    text += "' ";
  }
  return text;
}

// In one line.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool space = c == '\n' || c == '\t' || c == ' ';
    if (!space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

void hide(std::string& text, const std::string& secret) {
  if (secret.empty()) return;
  for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3)) {
    text.replace(at, secret.size(), "***");
  }
}

template <class Number>
Number parse_number(const pqxx::field& field) {
  Number value{};
  const char* end = field.c_str() + field.size();
  const auto parsed = std::from_chars(field.c_str(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end)
    internal_error("a number cannot be read: {}", field.c_str());
  return value;
}

Value value_of(const pqxx::field& field) {
  if (field.is_null()) return {};
  switch (field.type()) {
    case kBool:
      return Value(int64_t{field.c_str()[0] == 't'});
    case kInt2:
    case kInt4:
    case kInt8:
      return Value(parse_number<int64_t>(field));
    case kFloat4:
    case kFloat8:
      return Value(parse_number<double>(field));
    case kNumeric:  // the sum of whole numbers, for one
      if (std::string_view(field.c_str(), field.size()).find('.') == std::string_view::npos)
        return Value(parse_number<int64_t>(field));
      return Value(parse_number<double>(field));
    default:
      return Value(std::string(field.c_str(), field.size()));
  }
}

class PostgresConnection final : public Connection {
 public:
  PostgresConnection(const std::string& info, const std::string& description)
      : description_(description), connection_(info), quiet_(connection_) {}

  void begin(Mode mode) override {
    guarded("BEGIN", [&] {
      switch (mode) {
        case Mode::Read:
          transaction_ =
              std::make_unique<pqxx::transaction<pqxx::repeatable_read, pqxx::read_only>>(connection_);
          break;
        case Mode::Write:
          transaction_ = std::make_unique<pqxx::transaction<pqxx::serializable>>(connection_);
          break;
        case Mode::Exclusive:
          // Committed reads, so that what others did while this waited for the lock is seen.
          transaction_ = std::make_unique<pqxx::transaction<pqxx::read_committed>>(connection_);
          transaction_->exec(fmt::format("SELECT pg_advisory_xact_lock({})", kExclusiveLock));
      }
    });
  }

  void commit() override {
    guarded("COMMIT", [&] { transaction_->commit(); });
    transaction_.reset();
  }

  void rollback() noexcept override { transaction_.reset(); }

  Result execute(std::string_view sql, const Values& values) override {
    check_texts(values);
    pqxx::result rows;
    guarded(sql, [&] { rows = transaction_->exec_prepared(prepared(sql), texts_of(values)); });
    Result result;
    result.changed_rows = static_cast<int64_t>(rows.affected_rows());
    result.rows.reserve(rows.size());
    for (const pqxx::row& row : rows) {
      Values columns;
      columns.reserve(row.size());
      for (const pqxx::field& field : row) columns.push_back(value_of(field));
      result.rows.emplace_back(std::move(columns));
    }
    if (rows.columns() > 0 && sql.starts_with("SELECT")) result.changed_rows = 0;
    return result;
  }

 private:
  // The values as PostgreSQL reads them; the pointers are null for NULL.
  pqxx::internal::dynamic_params<std::vector<const char*>::const_iterator> texts_of(const Values& values) {
    texts_.clear();
    pointers_.clear();
    texts_.reserve(values.size());  // so that no text moves
    for (const Value& value : values) {
      switch (value.kind()) {
        case Value::Kind::Null:
          pointers_.push_back(nullptr);
          continue;
        case Value::Kind::Text:
          pointers_.push_back(value.text().c_str());
          continue;
        case Value::Kind::Integer:
          texts_.push_back(fmt::format("{}", value.integer()));
          break;
        case Value::Kind::Number:
          LOCKSTEP_CHECK(std::isfinite(value.number()));
          texts_.push_back(fmt::format("{}", value.number()));
      }
      pointers_.push_back(texts_.back().c_str());
    }
    return pqxx::prepare::make_dynamic_params(pointers_);
  }

  const std::string& prepared(std::string_view sql) {
    if (prepared_.size() >= kKeptStatements) {
      for (const auto& [text, name] : prepared_) connection_.unprepare(name);
      prepared_.clear();
    }
    const auto [found, is_new] =
        prepared_.try_emplace(std::string(sql), fmt::format("s{}", prepared_.size()));
    if (is_new) connection_.prepare(found->second, found->first);
    return found->second;
  }

  // Runs `action` and turns its errors into those of Connection.
  template <class Action>
  void guarded(std::string_view doing, Action&& action) {
    try {
      action();
    } catch (const pqxx::in_doubt_error&) {
      throw ConnectionLost(
          fmt::format("the connection to {} broke during a commit, which may have happened or not",
                      description_),
          true);
    } catch (const pqxx::broken_connection& error) {
      throw ConnectionLost(
          fmt::format("the connection to {} broke: {}", description_, one_line(error.what())), false);
    } catch (const pqxx::transaction_rollback& error) {
      throw Contention(one_line(error.what()));
    } catch (const pqxx::sql_error& error) {
      throw_for(error, doing);
    } catch (const pqxx::failure& error) {
      machine_error("{} failed at '{}': {}", description_, doing, one_line(error.what()));
    }
  }

  // Codes: PostgreSQL's manual, appendix A.
  [[noreturn]] void throw_for(const pqxx::sql_error& error, std::string_view doing) {
    const std::string& state = error.sqlstate();
    const std::string reason = one_line(error.what());
    if (state.starts_with("40")) throw Contention(reason);
    if (state.starts_with("08") || state.starts_with("57P") || !connection_.is_open()) {
      throw ConnectionLost(fmt::format("the connection to {} broke: {}", description_, reason), false);
    }
    // Out of resources, stopped by the administrator, trouble with the system, a damaged database.
    if (state.starts_with("53") || state.starts_with("57") || state.starts_with("58") ||
        state.starts_with("XX")) {
      machine_error("{} cannot be used: {}", description_, reason);
    }
    internal_error("{} refuses '{}': {}", description_, doing, reason);
  }

  std::string description_;
  pqxx::connection connection_;
  pqxx::quiet_errorhandler quiet_;                         // notices are not for standard error
  std::unordered_map<std::string, std::string> prepared_;  // names by SQL
  std::unique_ptr<pqxx::dbtransaction> transaction_;
  std::vector<std::string> texts_;
  std::vector<const char*> pointers_;
};

class PostgresConnector final : public Connector {
 public:
  explicit PostgresConnector(const std::string& url) {
    auto parts = parts_of(url);
    const auto part = [&](const char* name, const char* otherwise) {
      const auto found = parts.find(name);
      return found == parts.end() || found->second.empty() ? std::string(otherwise) : found->second;
    };
    secrets_ = {part("password", ""), part("sslpassword", "")};
    description_ = fmt::format("postgresql://{}:{}/{}", part("host", "localhost"), part("port", "5432"),
                               part("dbname", ""));
    info_ = conninfo(parts);
  }

  std::unique_ptr<Connection> connect() const override {
    std::string reason;
    try {
      return std::make_unique<PostgresConnection>(info_, description_);
    } catch (const pqxx::failure& error) {
      reason = one_line(error.what());
    }
    for (const std::string& secret : secrets_) hide(reason, secret);
    machine_error("cannot reach the database {}: {}", description_, reason);
  }

  Dialect dialect() const override { return Dialect::Postgres; }

 private:
  std::string info_;
  std::vector<std::string> secrets_;
};

}  // namespace

std::unique_ptr<Connector> postgres_connector(const std::string& url) {
  return std::make_unique<PostgresConnector>(url);
}

}  // namespace lockstep::database
