#include "http/client.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "base/error.h"
#include "http/stream.h"
#include "http/tls.h"

namespace lockstep::http {

namespace asio = boost::asio;
namespace protocol = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Milliseconds = std::chrono::milliseconds;

namespace {

constexpr Milliseconds kLook_ms{20};  // how often the caller is asked whether it is stopped
constexpr uint32_t kHeaderBytesMax = 64 << 10;
constexpr size_t kPieceBytes = 16 << 10;

double in_seconds(Milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

// What the other side's hanging up looks like.
bool is_end(error_code error) {
  return error == asio::error::eof || error == asio::error::connection_reset ||
         error == asio::error::broken_pipe || error == asio::ssl::error::stream_truncated ||
         error == protocol::make_error_code(protocol::error::end_of_stream) ||
         error == protocol::make_error_code(protocol::error::partial_message);
}

}  // namespace

Client::Client(Url url, ClientOptions options) : url_(std::move(url)), options_(std::move(options)) {
  if (url_.is_tls) {
    tls_.emplace(make_client_tls_context(options_.ca_file));
  } else if (!options_.ca_file.empty()) {
    user_error("--ca-file {}: {} is not https, so there is no certificate to check", options_.ca_file,
               url_.origin());
  }
}

class Exchange::Core {
 public:
  Core(Client& client, IsStopped is_stopped)
      : options_(client.options_),
        url_(client.url_),
        origin_(url_.origin()),
        is_stopped_(std::move(is_stopped)),
        stream_(tcp::socket(io_), client.tls_ ? &*client.tls_ : nullptr) {
    parser_.header_limit(kHeaderBytesMax);
    parser_.body_limit(boost::none);
  }

  void connect() {
    const auto until = Clock::now() + options_.connect_ms;
    tcp::resolver resolver(io_);
    tcp::resolver::results_type found;
    error_code error = wait(until, [&](auto done) {
      resolver.async_resolve(url_.host, std::to_string(url_.port), tcp::resolver::numeric_service,
                             [&found, done](error_code failure, tcp::resolver::results_type results) {
                               if (!failure) found = std::move(results);
                               done(failure);
                             });
    });
    if (error == asio::error::timed_out) too_slow(options_.connect_ms);
    if (error) user_error("{}: no address is known for {}: {}", origin_, url_.host, error.message());
    error = wait(until, [&](auto done) {
      asio::async_connect(stream_.socket(), found,
                          [done](error_code failure, const tcp::endpoint&) { done(failure); });
    });
    if (error == asio::error::timed_out) too_slow(options_.connect_ms);
    if (error) user_error("{} cannot be reached: {}; is a server running there?", origin_, error.message());
    error_code ignored;
    stream_.socket().set_option(tcp::no_delay(true), ignored);
    if (stream_.is_tls()) begin_tls(until);
  }

  void send(const ClientRequest& request) {
    protocol::request<protocol::string_body> message(protocol::string_to_verb(request.method), request.target,
                                                     11, request.body);
    message.set(protocol::field::host, url_.authority());
    message.set(protocol::field::connection, "close");
    for (const auto& [name, value] : request.headers) message.set(name, value);
    if (!request.body.empty()) message.prepare_payload();
    const error_code error = wait(silence_end(), [&](auto done) {
      protocol::async_write(stream_, message, [done](error_code failure, size_t) { done(failure); });
    });
    // One who does not want to read all may have said why, which is read next.
    if (error && !is_end(error)) fail(error);
  }

  void read_head() {
    const error_code error = wait(silence_end(), [&](auto done) {
      protocol::async_read_header(stream_, buffer_, parser_,
                                  [done](error_code failure, size_t) { done(failure); });
    });
    if (!error) return;
    if (is_end(error)) {
      user_error("{} closed the connection without a reply{}", origin_,
                 stream_.is_tls() ? "" : "; if it speaks TLS, its URL begins with https");
    }
    fail(error);
  }

  const protocol::response<protocol::buffer_body>& head() const { return parser_.get(); }

  std::string read_some() {
    std::array<char, kPieceBytes> piece;
    auto& body = parser_.get().body();
    while (!parser_.is_done()) {
      body.data = piece.data();
      body.size = piece.size();
      const error_code error = wait(silence_end(), [&](auto done) {
        protocol::async_read_some(stream_, buffer_, parser_,
                                  [done](error_code failure, size_t) { done(failure); });
      });
      const size_t count = piece.size() - body.size;
      if (error && error != protocol::make_error_code(protocol::error::need_buffer)) {
        if (is_end(error)) user_error("{}: the reply was cut off", origin_);
        fail(error);
      }
      if (count != 0) return {piece.data(), count};
    }
    return {};
  }

 private:
  using Clock = std::chrono::steady_clock;

  Clock::time_point silence_end() const { return Clock::now() + options_.silence_ms; }

  // Runs one operation, which `begin` starts with the function that it calls at its end. When the time is up
  // or the caller is stopped, the connection is closed. Only the search for an address cannot be ended: the
  // exchange's end waits for it.
  template <class Begin>
  error_code wait(Clock::time_point until, Begin begin) {
    std::optional<error_code> result;
    begin([&result](error_code error) { result = error; });
    while (true) {
      io_.restart();
      io_.run_one_for(kLook_ms);
      if (result) return *result;
      const bool stopped = is_stopped_();
      if (!stopped && Clock::now() < until) continue;
      error_code ignored;
      stream_.socket().close(ignored);
      io_.poll();  // ends what was begun, as long as all that it uses is there
      if (stopped) throw Stopped{};
      return asio::error::timed_out;
    }
  }

  void begin_tls(Clock::time_point until) {
    SSL* tls = stream_.tls();
    error_code not_address;
    asio::ip::make_address(url_.host, not_address);
    if (not_address) {
      LOCKSTEP_CHECK(SSL_set_tlsext_host_name(tls, url_.host.c_str()) == 1);
      LOCKSTEP_CHECK(SSL_set1_host(tls, url_.host.c_str()) == 1);
    } else {
      LOCKSTEP_CHECK(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), url_.host.c_str()) == 1);
    }
    const error_code error =
        wait(until, [&](auto done) { stream_.async_handshake(Stream::Side::client, done); });
    if (!error) return;
    if (error == asio::error::timed_out) too_slow(options_.connect_ms);
    if (const long reason = SSL_get_verify_result(tls); reason != X509_V_OK) {
      user_error(
          "{}: its certificate does not prove who it is ({}); --ca-file FILE names authorities to trust, and "
          "the URL must have the name that the certificate has",
          origin_, X509_verify_cert_error_string(reason));
    }
    user_error("{}: TLS cannot begin: {}; if the server speaks none, its URL begins with http", origin_,
               error.message());
  }

  [[noreturn]] void too_slow(Milliseconds time) const {
    user_error("{} did not answer within {} s", origin_, in_seconds(time));
  }

  [[noreturn]] void fail(error_code error) const {
    if (error == asio::error::timed_out) too_slow(options_.silence_ms);
    const bool is_http =
        error.category() == protocol::make_error_code(protocol::error::bad_version).category();
    if (is_http) user_error("{} does not reply in HTTP/1.1: {}", origin_, error.message());
    user_error("{}: the connection failed: {}", origin_, error.message());
  }

  const ClientOptions& options_;
  const Url& url_;
  const std::string origin_;
  const IsStopped is_stopped_;
  asio::io_context io_;
  Stream stream_;
  boost::beast::flat_buffer buffer_;
  protocol::response_parser<protocol::buffer_body> parser_;
};

Exchange::Exchange(Client& client, const ClientRequest& request, IsStopped is_stopped)
    : core_(std::make_unique<Core>(client, std::move(is_stopped))) {
  core_->connect();
  core_->send(request);
  core_->read_head();
}

Exchange::~Exchange() = default;

unsigned Exchange::status() const {
  return core_->head().result_int();
}

std::string Exchange::header(std::string_view name) const {
  return std::string(core_->head()[name]);
}

std::string Exchange::read_some() {
  return core_->read_some();
}

std::string Exchange::read_rest(size_t bytes_max) {
  std::string rest;
  while (rest.size() < bytes_max) {
    const std::string piece = core_->read_some();
    if (piece.empty()) break;
    rest += piece;
  }
  return rest.substr(0, bytes_max);
}

}  // namespace lockstep::http
