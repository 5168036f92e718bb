#include "http/server.h"

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "http/session.h"
#include "http/tls.h"

namespace lockstep::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::chrono::seconds kTick{1};       // how often deadlines are looked at
constexpr std::chrono::seconds kLastWords{2};  // for replies that are to end

}  // namespace

class Server::Core {
 public:
  explicit Core(const Options& options)
      : shared_(options), acceptor_(shared_.io), tick_(shared_.io), signals_(shared_.io) {
    if (!options.certificate_file.empty() || !options.key_file.empty()) {
      shared_.tls = make_tls_context(options.certificate_file, options.key_file);
    }
    error_code error;
    tcp::resolver resolver(shared_.io);
    const auto found = resolver.resolve(options.host, std::to_string(options.port),
                                        tcp::resolver::passive | tcp::resolver::numeric_service, error);
    if (error || found.empty()) {
      user_error("--host {}: no address has this name; 127.0.0.1 is this machine alone", options.host);
    }
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (error) user_error("--host {} --port {}: {}", options.host, options.port, error.message());
  }

  void listen() {
    error_code error;
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) user_error("{}: {}", url(), error.message());
  }

  std::string url() const {
    std::ostringstream text;
    text << (shared_.tls ? "https://" : "http://") << acceptor_.local_endpoint();
    return text.str();
  }

  bool is_local() const { return acceptor_.local_endpoint().address().is_loopback(); }

  uint32_t connections() const { return shared_.connections; }

  void run(Service& service) {
    shared_.service = &service;
    shared_.working.emplace(shared_.options.working_threads);
    shared_.waiting.emplace(shared_.options.waiting_threads);
    shared_.session_ended = [this] { session_ended(); };
    signals_.add(SIGTERM);
    signals_.add(SIGINT);
    wait_for_signal();
    wait_for_tick();
    accept();
    shared_.io.run();
    signals_.clear();  // who does not want to wait for a disk ends the process
    shared_.working->join();
    shared_.waiting->join();
    shared_.io.restart();
    shared_.io.poll();  // replies that the pool still had
  }

 private:
  void accept() {
    if (accepting_ || finished_ || shared_.sessions.size() >= shared_.options.connections_max) return;
    accepting_ = true;
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      accepting_ = false;
      if (finished_) return;
      if (error) return;  // no file descriptors perhaps; the next tick tries again
      auto session = std::make_shared<Session>(shared_, std::move(socket));
      shared_.sessions.emplace(session.get(), session);
      shared_.connections = static_cast<uint32_t>(shared_.sessions.size());
      session->start();
      accept();
    });
  }

  void session_ended() {
    if (shared_.draining && shared_.sessions.size() == shared_.late) return finish();
    accept();
  }

  void finish() {
    if (std::exchange(finished_, true)) return;
    error_code ignored;
    acceptor_.close(ignored);
    close_all();
    shared_.io.stop();
  }

  void wait_for_signal() {
    signals_.async_wait([this](error_code error, int) {
      if (error) return;
      if (shared_.draining) {
        stop();
      } else {
        drain();
      }
      wait_for_signal();
    });
  }

  void drain() {
    shared_.draining = true;
    drain_deadline_ = Clock::now() + std::chrono::seconds(shared_.options.drain_s);
    shared_.service->drain();
    for_each([](Session& session) { session.close_if_idle(); });
    session_ended();
  }

  // Has all replies end, and where they do not, the connections.
  void stop() {
    if (std::exchange(shared_.stopping, true)) return close_all();
    drain_deadline_ = Clock::now() + kLastWords;
    for_each([](Session& session) { session.stop(); });
  }

  void close_all() {
    for_each([](Session& session) { session.close(); });
  }

  void wait_for_tick() {
    tick_.expires_after(kTick);
    tick_.async_wait([this](error_code error) {
      if (error) return;
      const Clock::time_point now = Clock::now();
      for_each([now](Session& session) { session.close_if_late(now); });
      if (now >= drain_deadline_) stop();
      accept();
      wait_for_tick();
    });
  }

  // Of the sessions that are there now: they may end on the way.
  template <class F>
  void for_each(F f) {
    const auto sessions = shared_.sessions;
    for (const auto& [key, session] : sessions) f(*session);
  }

  Shared shared_;
  tcp::acceptor acceptor_;
  asio::steady_timer tick_;
  asio::signal_set signals_;
  Clock::time_point drain_deadline_ = kNever;
  bool accepting_ = false, finished_ = false;
};

Server::Server(const Options& options) : core_(std::make_unique<Core>(options)) {}
Server::~Server() = default;
void Server::listen() {
  core_->listen();
}
std::string Server::url() const {
  return core_->url();
}
bool Server::is_local() const {
  return core_->is_local();
}
uint32_t Server::connections() const {
  return core_->connections();
}
void Server::run(Service& service) {
  core_->run(service);
}

}  // namespace lockstep::http
