// HTTP/1.1 from the asking side: one request on one connection, plain or under TLS.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/service.h"
#include "http/url.h"

namespace lockstep::http {

struct ClientOptions {
  std::string ca_file = "";                      // PEM: the authorities to trust; empty: the system's
  std::chrono::milliseconds connect_ms{15000};   // until the server can be written to
  std::chrono::milliseconds silence_ms{600000};  // without a byte from the server
};

struct ClientRequest {
  std::string method = "GET";
  std::string target;    // begins with '/'
  Headers headers = {};  // besides host, connection and content-length
  std::string body = "";
};

// A server to send requests to.
class Client {
 public:
  // Connects to nothing yet. Throws a user's error for a ca_file that is not right, or without use.
  Client(Url url, ClientOptions options);

  const Url& url() const { return url_; }

 private:
  friend class Exchange;

  const Url url_;
  const ClientOptions options_;
  std::optional<boost::asio::ssl::context> tls_;  // nothing: plain
};

// A request and its reply, on a connection that ends with this object. Every failure is a user's error: one
// sentence that names the server. THREAD: one.
class Exchange {
 public:
  // Asked about fifty times a second while the server is waited for.
  using IsStopped = std::function<bool()>;
  // Thrown by what waits once the caller has said that it is stopped.
  struct Stopped {};

  // Connects, sends, and reads the head of the reply. The client must outlive the exchange.
  Exchange(Client& client, const ClientRequest& request, IsStopped is_stopped);
  ~Exchange();

  unsigned status() const;
  // A header of the reply, its name in any case; empty: not there.
  std::string header(std::string_view name) const;
  // The next bytes of the reply's body as they come; none: it has ended.
  std::string read_some();
  // What is left of the body, or of that its beginning.
  std::string read_rest(size_t bytes_max);

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace lockstep::http
