// For tests: new databases of both kinds. The PostgreSQL server is started by the first test that needs it
// and stopped when the test program ends.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "database/database.h"
#include "store/test_processes.h"

#ifdef LOCKSTEP_SANITIZED
// libpqxx 6.4 does not free the result (2 KB) with which it learns that a connection is lost.
extern "C" __attribute__((used)) inline const char* __lsan_default_suppressions() {
  return "leak:libpqxx";
}
#endif

namespace lockstep::database {

// A real PostgreSQL server in a temporary folder, reached by a socket in that folder: no port is used. It
// runs as an unprivileged user, since it refuses to run as root, and goes when this process does.
class PostgresServer {
 public:
  // Throws std::runtime_error with a sentence when it cannot be started.
  PostgresServer() {
    user_ = ::geteuid() == 0 ? unprivileged_user() : nullptr;
    // The server's user must be able to enter the folder, and own what it writes into.
    if (::mkdir(data().c_str(), 0700) != 0 || ::chmod(folder_.path().c_str(), 0755) != 0)
      fail("make its folder");
    if (user_ != nullptr && (::chown(data().c_str(), user_->pw_uid, user_->pw_gid) != 0 ||
                             ::chown(folder_.path().c_str(), user_->pw_uid, user_->pw_gid) != 0)) {
      fail("give its folder to " + std::string(user_->pw_name));
    }
    if (finish(launch({"initdb", "-D", data(), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                       "--locale=C.UTF-8", "--no-sync"})) != 0) {
      fail("run initdb");
    }
    std::ofstream(data() + "/pg_hba.conf") << "local all careful scram-sha-256\nlocal all all trust\n";
    start();
  }
  ~PostgresServer() { stop(); }

  // Waits until it answers.
  void start() {
    server_ = launch({"postgres", "-D", data(), "-k", folder_.path().string(), "-c",
                      "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"});
    for (int tries = 0; tries < 600; ++tries) {
      if (::waitpid(server_, nullptr, WNOHANG) != 0) break;
      if (finish(launch({"pg_isready", "-q", "-h", folder_.path().string(), "-U", "postgres"})) == 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    fail("start it");
  }
  // Connections break.
  void stop() {
    if (server_ <= 0) return;
    ::kill(server_, SIGINT);
    ::waitpid(server_, nullptr, 0);
    server_ = 0;
  }

  // An empty database. By a client, since our transactions do not allow the statement.
  void create(const std::string& name) const {
    if (finish(launch({"createdb", "-h", folder_.path().string(), "-U", "postgres", name})) != 0)
      fail("make a database");
  }

  std::string url(const std::string& name, const std::string& user = "postgres") const {
    return "postgresql://" + user + "@/" + name + "?host=" + folder_.path().string();
  }

 private:
  static const passwd* unprivileged_user() {
    for (const char* name : {"postgres", "nobody"}) {
      if (const passwd* user = ::getpwnam(name)) return user;
    }
    return nullptr;
  }

  // Where Debian has the programs of the newest version.
  static std::filesystem::path programs() {
    std::vector<std::filesystem::path> found;
    std::error_code ignored;
    for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
      if (std::filesystem::exists(version.path() / "bin/initdb")) found.push_back(version.path() / "bin");
    }
    if (found.empty()) {
      throw std::runtime_error(
          "there is no /usr/lib/postgresql/*/bin/initdb: install the Debian package postgresql");
    }
    return *std::max_element(found.begin(), found.end());
  }

  std::string data() const { return (folder_.path() / "data").string(); }
  std::string log() const { return (folder_.path() / "log").string(); }

  [[noreturn]] void fail(const std::string& action) const {
    std::ifstream file(log());
    throw std::runtime_error("the tests' PostgreSQL server: cannot " + action + "\n" +
                             std::string(std::istreambuf_iterator<char>(file), {}));
  }

  // Starts a program of the server as its user; gives its process.
  pid_t launch(std::vector<std::string> words) const {
    const std::string program = (programs() / words[0]).string();
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string log_path = log();
    const pid_t child = ::fork();
    if (child != 0) return child;
    if (user_ != nullptr &&
        (::setgroups(0, nullptr) != 0 || ::setgid(user_->pw_gid) != 0 || ::setuid(user_->pw_uid) != 0)) {
      ::_exit(98);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
    const int file = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (::dup2(file, STDOUT_FILENO) < 0 || ::dup2(file, STDERR_FILENO) < 0 || ::chdir("/") != 0) ::_exit(98);
    ::execv(program.c_str(), arguments.data());
    ::_exit(99);
  }

  static int finish(pid_t child) { return store::wait_for(child); }

  store::TemporaryFolder folder_;
  const passwd* user_ = nullptr;
  pid_t server_ = 0;
};

// The server that the tests of this process share.
inline PostgresServer& postgres_server() {
  static PostgresServer server;
  return server;
}

// A place for a database of one kind that nobody has used before.
class TestPlace {
 public:
  explicit TestPlace(Dialect dialect) {
    if (dialect == Dialect::Sqlite) {
      place_ = (folder_.path() / "test.db").string();
      return;
    }
    static int number = 0;
    const std::string name = "test_" + std::to_string(++number);
    postgres_server().create(name);
    place_ = postgres_server().url(name);
  }

  const std::string& place() const { return place_; }

 private:
  store::TemporaryFolder folder_;
  std::string place_;
};

// Tests that run on both: TEST_P and INSTANTIATE_TEST_SUITE_P(Both, NAME, both_dialects(), dialect_name).
inline auto both_dialects() {
  return testing::Values(Dialect::Sqlite, Dialect::Postgres);
}
inline std::string dialect_name(const testing::TestParamInfo<Dialect>& info) {
  return info.param == Dialect::Sqlite ? "Sqlite" : "Postgres";
}

}  // namespace lockstep::database
