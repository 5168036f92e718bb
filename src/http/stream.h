// A connection's bytes, plain or under TLS, as the composed operations of Asio and Beast use them.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <optional>
#include <utility>

namespace lockstep::http {

// Satisfies Asio's AsyncReadStream and AsyncWriteStream for completion handlers. THREAD: one.
class Stream {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using executor_type = Socket::executor_type;

  // `tls` must outlive the stream; null: plain.
  Stream(Socket socket, boost::asio::ssl::context* tls) : socket_(std::move(socket)) {
    if (tls != nullptr) tls_.emplace(socket_, *tls);
  }

  executor_type get_executor() { return socket_.get_executor(); }
  Socket& socket() { return socket_; }
  bool is_tls() const { return tls_.has_value(); }

  template <class Buffers, class Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) return static_cast<void>(tls_->async_read_some(buffers, std::forward<Handler>(handler)));
    socket_.async_read_some(buffers, std::forward<Handler>(handler));
  }

  template <class Buffers, class Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) return static_cast<void>(tls_->async_write_some(buffers, std::forward<Handler>(handler)));
    socket_.async_write_some(buffers, std::forward<Handler>(handler));
  }

  // OpenSSL's side of it; null: plain.
  SSL* tls() { return tls_ ? tls_->native_handle() : nullptr; }

  // Before the first byte, and after the last. Only where is_tls().
  using Side = boost::asio::ssl::stream_base::handshake_type;
  template <class Handler>
  void async_handshake(Side side, Handler&& handler) {
    tls_->async_handshake(side, std::forward<Handler>(handler));
  }
  template <class Handler>
  void async_shutdown(Handler&& handler) {
    tls_->async_shutdown(std::forward<Handler>(handler));
  }

 private:
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
};

}  // namespace lockstep::http
