#include "http/server.h"

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <csignal>
#include <optional>
#include <sstream>
#include <unordered_map>

#include "base/error.h"
#include "base/identifiers.h"

namespace lockstep::http {

namespace asio = boost::asio;
namespace protocol = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

using Clock = std::chrono::steady_clock;
constexpr Clock::time_point kNever = Clock::time_point::max();
constexpr std::chrono::seconds kTick{1};    // how often deadlines are looked at
constexpr std::chrono::seconds kLinger{2};  // for a refused client to read why
constexpr size_t kReadBytes = 4096;
constexpr int kSendBytes = 64 << 10;  // that the system holds for a client that does not read
constexpr size_t kBufferBytes = size_t{64} << 10;

Clock::time_point in(uint32_t seconds) {
  return Clock::now() + std::chrono::seconds(seconds);
}

std::string lower_case(std::string_view name) {
  std::string text(name);
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

class Session;

// What all connections share. Used by the one thread that runs `io`, but for `io` itself.
struct Shared {
  explicit Shared(const Options& given) : options(given) {}
  const Options options;
  asio::io_context io{1};
  std::optional<asio::thread_pool> pool;
  Service* service = nullptr;
  std::unordered_map<const Session*, std::shared_ptr<Session>> sessions;
  std::function<void()> session_ended;
  bool draining = false;
};

// One connection. Its requests are answered one after another.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Shared& shared, tcp::socket socket) : shared_(shared), socket_(std::move(socket)) {}

  void start() {
    error_code ignored;
    client_ = socket_.remote_endpoint(ignored).address().to_string();
    socket_.set_option(tcp::no_delay(true), ignored);
    socket_.set_option(tcp::socket::send_buffer_size(kSendBytes), ignored);
    wait_for_request();
  }

  // Ends the connection and what is being done for it.
  void close() {
    if (state_ == State::Closed) return;
    state_ = State::Closed;
    reply_.reset();
    error_code ignored;
    socket_.close(ignored);
    const auto self = shared_from_this();
    shared_.sessions.erase(this);
    shared_.session_ended();
  }

  void close_if_late(Clock::time_point now) {
    if (now >= deadline_) close();
  }
  void close_if_idle() {
    if (state_ == State::Idle) close();
  }

  void ring() { write_next(); }

 private:
  enum class State { Idle, Reading, Answering, Lingering, Closed };

  void wait_for_request() {
    state_ = State::Idle;
    reply_.reset();
    if (shared_.draining) return close();
    parser_.emplace();
    parser_->header_limit(shared_.options.header_bytes_max);
    parser_->body_limit(shared_.options.body_bytes_max);
    request_ = {};
    deadline_ = in(shared_.options.idle_s);
    if (buffer_.size() == 0) return read_some();
    if (!reading_) return read_header();
    // The next request has begun to come; what waits for more of it makes way for the parser.
    error_code ignored;
    socket_.cancel(ignored);
  }

  // Reads what the client sends next: a request, or while it is being answered the news that it has gone.
  void read_some() {
    if (reading_) return;
    reading_ = true;
    socket_.async_read_some(buffer_.prepare(kReadBytes),
                            [self = shared_from_this()](error_code error, size_t count) {
                              self->reading_ = false;
                              self->take_read(error, count);
                            });
  }

  void take_read(error_code error, size_t count) {
    if (state_ == State::Closed) return;
    const bool made_way = error == asio::error::operation_aborted && state_ == State::Idle;
    if (error && !made_way) return close();
    if (state_ == State::Lingering) return read_some();  // nobody wants it
    buffer_.commit(count);
    if (state_ == State::Idle) return read_header();
    // A request that comes before the last one's answer waits in the buffer, and then in the socket.
    if (buffer_.size() + kReadBytes <= kBufferBytes) read_some();
  }

  void read_header() {
    state_ = State::Reading;
    request_.id = "req_" + new_ulid();
    request_.client = client_;
    request_.received_s = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
    deadline_ = in(shared_.options.header_s);
    protocol::async_read_header(socket_, buffer_, *parser_,
                                [self = shared_from_this()](error_code error, size_t) {
                                  if (self->state_ == State::Closed) return;
                                  if (error) return self->refuse(error);
                                  self->read_body();
                                });
  }

  void read_body() {
    deadline_ = in(shared_.options.body_s);
    const auto expect = parser_->get().find(protocol::field::expect);
    if (expect != parser_->get().end() && boost::beast::iequals(expect->value(), "100-continue")) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      asio::async_write(socket_, asio::buffer(kContinue),
                        [self = shared_from_this()](error_code error, size_t) {
                          if (self->state_ == State::Closed) return;
                          if (error) return self->close();
                          self->read_rest();
                        });
      return;
    }
    read_rest();
  }

  void read_rest() {
    protocol::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](error_code error, size_t) {
      if (self->state_ == State::Closed) return;
      if (error) return self->refuse(error);
      self->answer();
    });
  }

  // The parser's errors become a reply, after which the connection ends; the socket's end it at once.
  void refuse(error_code error) {
    static const error_code kBody = protocol::make_error_code(protocol::error::body_limit);
    static const error_code kHeader = protocol::make_error_code(protocol::error::header_limit);
    static const error_code kEnd = protocol::make_error_code(protocol::error::end_of_stream);
    static const error_code kPartial = protocol::make_error_code(protocol::error::partial_message);
    if (error.category() != kBody.category() || error == kEnd || error == kPartial) return close();
    const Options& options = shared_.options;
    state_ = State::Answering;
    keep_alive_ = false;
    lingers_ = true;
    if (error == kBody) {
      say_no(413, fmt::format("the body is larger than {} bytes", options.body_bytes_max));
    } else if (error == kHeader) {
      say_no(431, fmt::format("the header is larger than {} bytes", options.header_bytes_max));
    } else {
      say_no(400, fmt::format("this is no HTTP/1.1 request: {}", error.message()));
    }
  }

  void say_no(unsigned status, std::string message) {
    set_reply(shared_.service->refuse(request_, status, std::move(message)));
  }

  void answer() {
    state_ = State::Answering;
    deadline_ = kNever;
    auto& message = parser_->get();
    keep_alive_ = message.keep_alive();
    chunks_ = message.version() >= 11;
    head_only_ = message.method() == protocol::verb::head;
    request_.method = head_only_ ? "GET" : std::string(message.method_string());
    request_.target = std::string(message.target());
    for (const auto& field : message) {
      request_.headers.emplace_back(lower_case(field.name_string()), std::string(field.value()));
    }
    request_.body = std::move(message.body());
    if (buffer_.size() + kReadBytes <= kBufferBytes) read_some();
    // The wake may come from any thread at any time: it holds nothing but a way to find the session again.
    Wake wake = [bell = std::make_shared<std::atomic<bool>>(false), &io = shared_.io,
                 weak = weak_from_this()] {
      if (bell->exchange(true)) return;
      asio::post(io, [bell, weak] {
        *bell = false;
        if (const auto session = weak.lock()) session->ring();
      });
    };
    asio::post(*shared_.pool,
               [self = shared_from_this(), &shared = shared_, wake = std::move(wake)]() mutable {
                 std::shared_ptr<Reply> reply = shared.service->answer(self->request_, std::move(wake));
                 self->request_.body = {};  // nobody needs it while the answer grows
                 asio::post(shared.io, [self = std::move(self), reply = std::move(reply)]() mutable {
                   if (self->state_ == State::Answering) self->set_reply(std::move(reply));
                 });
               });
  }

  void set_reply(std::shared_ptr<Reply> reply) {
    reply_ = std::move(reply);
    head_sent_ = false;
    write_next();
  }

  // Writes the reply's next piece, if there is one and the one before it is written.
  void write_next() {
    if (writing_ || reply_ == nullptr) return;
    Piece piece;
    try {
      piece = reply_->next();
    } catch (const std::exception&) {
      return close();  // out of memory: nothing can be said any more
    }
    if (!piece.head && piece.body.empty() && !piece.last) return;
    out_.clear();
    if (!head_sent_) append_head(piece);
    if (!head_only_) append_body(piece);
    writing_ = true;
    deadline_ = in(shared_.options.write_s);
    asio::async_write(socket_, asio::buffer(out_),
                      [self = shared_from_this(), last = piece.last](error_code error, size_t) {
                        self->writing_ = false;
                        self->take_written(error, last);
                      });
  }

  void take_written(error_code error, bool last) {
    if (state_ == State::Closed) return;
    if (error) return close();
    deadline_ = kNever;
    if (!last) return write_next();
    reply_.reset();
    if (keep_alive_) return wait_for_request();
    if (!lingers_) return close();
    // A client that is still sending would lose the reply if its bytes met a closed socket.
    state_ = State::Lingering;
    deadline_ = Clock::now() + kLinger;
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    buffer_.clear();
    read_some();
  }

  void append_head(const Piece& piece) {
    head_sent_ = true;
    whole_ = piece.last;
    if (shared_.draining || (!whole_ && !chunks_)) keep_alive_ = false;
    const Head head = piece.head.value_or(Head{});
    protocol::response<protocol::empty_body> response(protocol::int_to_status(head.status),
                                                      chunks_ ? 11 : 10);
    response.set(protocol::field::content_type, head.content_type);
    response.set(protocol::field::cache_control, "no-store");
    response.set("x-request-id", request_.id);
    for (const auto& [name, value] : head.headers) response.set(name, value);
    response.keep_alive(keep_alive_);
    if (whole_) {
      response.content_length(piece.body.size());
    } else if (chunks_) {
      response.chunked(true);
    }
    std::ostringstream text;
    text << response.base();
    out_ += text.str();
  }

  void append_body(const Piece& piece) {
    if (whole_ || !chunks_) {
      out_ += piece.body;
      return;
    }
    if (!piece.body.empty()) append_buffers(protocol::make_chunk(asio::buffer(piece.body)));
    if (piece.last) append_buffers(protocol::make_chunk_last());
  }

  template <class Buffers>
  void append_buffers(const Buffers& buffers) {
    for (auto it = asio::buffer_sequence_begin(buffers); it != asio::buffer_sequence_end(buffers); ++it) {
      const asio::const_buffer one = *it;
      out_.append(static_cast<const char*>(one.data()), one.size());
    }
  }

  Shared& shared_;
  tcp::socket socket_;
  boost::beast::flat_buffer buffer_{kBufferBytes};
  std::optional<protocol::request_parser<protocol::string_body>> parser_;
  Request request_;
  std::string client_;
  std::shared_ptr<Reply> reply_;
  std::string out_;  // the piece that is being written
  Clock::time_point deadline_ = kNever;
  State state_ = State::Idle;
  bool reading_ = false, writing_ = false;
  bool keep_alive_ = false, chunks_ = true, head_only_ = false, lingers_ = false;
  bool head_sent_ = false, whole_ = false;
};

}  // namespace

class Server::Core {
 public:
  explicit Core(const Options& options)
      : shared_(options), acceptor_(shared_.io), tick_(shared_.io), signals_(shared_.io) {
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
    if (error) user_error("{}: {}", address(), error.message());
  }

  std::string address() const {
    std::ostringstream text;
    text << acceptor_.local_endpoint();
    return text.str();
  }

  void run(Service& service) {
    shared_.service = &service;
    shared_.pool.emplace(shared_.options.answering_threads);
    shared_.session_ended = [this] { session_ended(); };
    signals_.add(SIGTERM);
    signals_.add(SIGINT);
    wait_for_signal();
    wait_for_tick();
    accept();
    shared_.io.run();
    shared_.pool->join();
    shared_.io.restart();
    shared_.io.poll();  // replies that the pool still had
  }

 private:
  void accept() {
    if (accepting_ || shared_.draining || shared_.sessions.size() >= shared_.options.connections_max) return;
    accepting_ = true;
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      accepting_ = false;
      if (shared_.draining) return;
      if (error) return;  // no file descriptors perhaps; the next tick tries again
      auto session = std::make_shared<Session>(shared_, std::move(socket));
      shared_.sessions.emplace(session.get(), session);
      session->start();
      accept();
    });
  }

  void session_ended() {
    if (shared_.draining && shared_.sessions.empty()) return shared_.io.stop();
    accept();
  }

  void wait_for_signal() {
    signals_.async_wait([this](error_code error, int) {
      if (error) return;
      if (shared_.draining) return close_all();
      drain();
      wait_for_signal();
    });
  }

  void drain() {
    shared_.draining = true;
    drain_deadline_ = in(shared_.options.drain_s);
    error_code ignored;
    acceptor_.close(ignored);
    for_each([](Session& session) { session.close_if_idle(); });
    session_ended();
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
      if (now >= drain_deadline_) close_all();
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
  bool accepting_ = false;
};

Server::Server(const Options& options) : core_(std::make_unique<Core>(options)) {}
Server::~Server() = default;
void Server::listen() {
  core_->listen();
}
std::string Server::address() const {
  return core_->address();
}
void Server::run(Service& service) {
  core_->run(service);
}

}  // namespace lockstep::http
