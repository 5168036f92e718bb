#include "http/client.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "base/error.h"

namespace lockstep::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr char kTlsGreeting = 0x16;  // the kind of TLS's first record
const Exchange::IsStopped kNever = [] { return false; };

// Takes one connection, reads a request's head, writes the pieces with a pause after each, and closes.
class OneReply {
 public:
  explicit OneReply(std::vector<std::string> pieces, std::chrono::milliseconds pause_ms = 5ms)
      : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}), thread_([this, pieces, pause_ms] {
          tcp::socket socket(io_);
          acceptor_.accept(socket);
          boost::system::error_code gone;
          request_.resize(1);
          asio::read(socket, asio::buffer(request_), gone);
          if (request_[0] != kTlsGreeting) {
            asio::read_until(socket, asio::dynamic_buffer(request_), "\r\n\r\n", gone);
          }
          for (const std::string& piece : pieces) {
            asio::write(socket, asio::buffer(piece), gone);
            std::this_thread::sleep_for(pause_ms);
          }
        }) {}
  ~OneReply() { thread_.join(); }

  Url url() const {
    return parse_url("http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()));
  }
  // Only once the reply has been read.
  const std::string& request() const { return request_; }

 private:
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::string request_;
  std::thread thread_;
};

std::string whole(const std::vector<std::string>& pieces, const ClientOptions& options = {}) {
  OneReply server(pieces);
  Client client(server.url(), options);
  Exchange exchange(client, {.target = "/x"}, kNever);
  return std::to_string(exchange.status()) + " " + exchange.header("Content-Type") + " " +
         exchange.read_rest(size_t{1} << 20);
}

// The sentence that asking for this reply fails with.
std::string failure(const std::vector<std::string>& pieces, const ClientOptions& options = {},
                    std::chrono::milliseconds pause_ms = 5ms) {
  OneReply server(pieces, pause_ms);
  try {
    Client client(server.url(), options);
    Exchange exchange(client, {.target = "/x"}, kNever);
    exchange.read_rest(size_t{1} << 20);
  } catch (const Error& error) {
    EXPECT_EQ(ErrorKind::User, error.kind());
    EXPECT_NE(std::string(error.what()).find(server.url().origin()), std::string::npos) << error.what();
    return error.what();
  }
  return "none";
}

TEST(Client, Bodies) {
  EXPECT_EQ("200 a/b hello",
            whole({"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\nContent-Length: 5\r\n\r\nhello"}));
  EXPECT_EQ("404  hello", whole({"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\n", "hel", "lo"}));
  EXPECT_EQ("200  hello you", whole({"HTTP/1.1 200 OK\r\ntransfer-", "encoding: chunked\r\n\r\n5\r\nhe",
                                     "llo\r\n4", "\r\n you\r\n0\r\n\r\n"}));
  EXPECT_EQ("200  until the end", whole({"HTTP/1.0 200 OK\r\n\r\n", "until ", "the end"}));
  EXPECT_EQ("204  ", whole({"HTTP/1.1 204 No Content\r\n\r\n"}));
}

TEST(Client, PiecesComeAsTheyAreSent) {
  OneReply server(
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"},
      100ms);
  Client client(server.url(), {});
  Exchange exchange(client, {.target = "/"}, kNever);
  EXPECT_EQ("one", exchange.read_some());
  EXPECT_EQ("two", exchange.read_some());
  EXPECT_EQ("", exchange.read_some());
}

TEST(Client, WhatIsSent) {
  OneReply server({"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"});
  Client client(server.url(), {});
  Exchange exchange(
      client, {.method = "POST", .target = "/v1/x", .headers = {{"authorization", "Bearer k"}}, .body = "{}"},
      kNever);
  EXPECT_TRUE(server.request().starts_with("POST /v1/x HTTP/1.1\r\n")) << server.request();
  for (const char* line : {"\r\nauthorization: Bearer k\r\n", "\r\nContent-Length: 2\r\n",
                           "\r\nConnection: close\r\n", "\r\nHost: 127.0.0.1:"}) {
    EXPECT_NE(server.request().find(line), std::string::npos) << server.request();
  }
}

TEST(Client, FailuresAreSentences) {
  EXPECT_TRUE(failure({}).ends_with("its URL begins with https"));
  EXPECT_TRUE(failure({"HTTP/1.1 200 OK\r\nConte"}).find("closed the connection") != std::string::npos);
  EXPECT_TRUE(failure({"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"}).ends_with("cut off"));
  EXPECT_TRUE(
      failure({"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"}).ends_with("cut off"));
  EXPECT_TRUE(
      failure({"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n"}).find("HTTP/1.1:") !=
      std::string::npos);
  EXPECT_TRUE(failure({"SSH-2.0-OpenSSH_9.2\r\n\r\n"}).find("HTTP/1.1:") != std::string::npos);
  const std::string head = "HTTP/1.1 200 OK\r\nx: " + std::string(100000, 'x') + "\r\n\r\n";
  EXPECT_TRUE(failure({head}).find("HTTP/1.1:") != std::string::npos);
}

TEST(Client, SlowServers) {
  const ClientOptions impatient = {.silence_ms = 50ms};
  EXPECT_TRUE(failure({""}, impatient, 300ms).ends_with("did not answer within 0.05 s"));
  EXPECT_TRUE(failure({"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"}, impatient, 300ms)
                  .ends_with("did not answer within 0.05 s"));
}

TEST(Client, Unreachable) {
  const Url url = [] {
    OneReply server({});
    Client client(server.url(), {});
    EXPECT_THROW(Exchange(client, {.target = "/"}, kNever), Error);
    return server.url();
  }();
  Client client(url, {});
  try {
    Exchange exchange(client, {.target = "/"}, kNever);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("cannot be reached"), std::string::npos) << error.what();
  }
}

TEST(Client, TheCallerMayStopIt) {
  OneReply server({"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel", ""}, 200ms);
  Client client(server.url(), {});
  bool stopped = false;
  Exchange exchange(client, {.target = "/"}, [&] { return stopped; });
  EXPECT_EQ("hel", exchange.read_some());
  stopped = true;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW(exchange.read_some(), Exchange::Stopped);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 150ms);
}

TEST(Client, Tls) {
  EXPECT_THROW(Client(parse_url("https://127.0.0.1:1"), {.ca_file = "/does/not/exist"}), Error);
  EXPECT_THROW(Client(parse_url("http://127.0.0.1:1"), {.ca_file = "/does/not/exist"}), Error);
  OneReply server({"HTTP/1.1 400 Bad Request\r\n\r\n"});
  Url url = server.url();
  url.is_tls = true;
  Client client(url, {});
  try {
    Exchange exchange(client, {.target = "/"}, kNever);
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what()).ends_with("its URL begins with http")) << error.what();
  }
}

}  // namespace
}  // namespace lockstep::http
