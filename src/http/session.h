// A connection of the server, for server.cpp alone.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "http/server.h"
#include "http/service.h"
#include "http/stream.h"

namespace lockstep::http {

using Clock = std::chrono::steady_clock;
inline constexpr Clock::time_point kNever = Clock::time_point::max();

class Session;

// What all connections share. Used by the one thread that runs `io`, but for `io` itself.
struct Shared {
  explicit Shared(const Options& given) : options(given), body_room_bytes(given.body_memory_bytes) {}
  const Options options;
  size_t body_room_bytes;  // for further bodies
  boost::asio::io_context io{1};
  std::optional<boost::asio::ssl::context> tls;              // none: plain HTTP
  std::optional<boost::asio::thread_pool> working, waiting;  // by the pace of what they do
  Service* service = nullptr;
  std::unordered_map<const Session*, std::shared_ptr<Session>> sessions;
  std::atomic<uint32_t> connections{0};  // how many sessions there are, for other threads
  std::function<void()> session_ended;
  boost::asio::thread_pool& pool_of(Pace pace) { return pace == Pace::Waits ? *waiting : *working; }
  bool draining = false;
  bool stopping = false;  // replies are to end
  size_t late = 0;        // sessions that came while draining; nobody waits for their end
};

// Its requests are answered one after another.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Shared& shared, boost::asio::ip::tcp::socket socket);

  ~Session();

  void start();
  // Ends the connection and what is being done for it.
  void close();
  // Has the reply end, with an error where it can be told; closes what has not come to one.
  void stop();
  void close_if_late(Clock::time_point now) {
    if (now >= deadline_) close();
  }
  void close_if_idle() {
    if (state_ == State::Idle) close();
  }

 private:
  enum class State { Idle, Reading, Answering, Lingering, Closed };
  using error_code = boost::system::error_code;

  void wait_for_request();
  void read_some();
  void take_read(error_code error, size_t count);
  void read_header();
  void read_body();
  void take_head();
  bool take_body_room(size_t bytes);
  void say_no_room();
  void give_back_body_room();
  void read_rest();
  void refuse(error_code error);
  void say_no(unsigned status, std::string message);
  void say_no(std::shared_ptr<Reply> reply);
  void answer();
  void set_reply(std::shared_ptr<Reply> reply);
  void write_next();
  void take_piece(std::optional<Piece> piece);
  void write_out(bool last);
  void take_written(error_code error, bool last);
  void say_goodbye();
  void append_head(const Piece& piece);
  void append_body(const Piece& piece);
  template <class Buffers>
  void append_buffers(const Buffers& buffers);

  Shared& shared_;
  Stream stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  Request request_;
  std::string client_;
  std::shared_ptr<Reply> reply_;
  std::string out_;           // the piece that is being written
  size_t written_bytes_ = 0;  // of it
  size_t body_limit_ = 0, body_room_bytes_ = 0;
  Clock::time_point body_began_;
  Clock::time_point deadline_ = kNever;
  State state_ = State::Idle;
  Pace pace_ = Pace::Works;                 // of the answer
  bool reading_ = false, writing_ = false;  // writing: a piece, or waiting for it
  bool woken_ = false;                      // while writing
  bool keep_alive_ = false, chunks_ = true, head_only_ = false, lingers_ = false;
  bool head_sent_ = false, whole_ = false;
  const bool late_;
};

}  // namespace lockstep::http
