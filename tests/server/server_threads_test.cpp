// The server on a small model in one process, with many clients at once. Also run under the thread sanitizer.
#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <thread>

#include "http/server.h"
#include "small_service.h"

namespace lockstep::tests {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

class RunningServer {
 public:
  explicit RunningServer(float gain = 1.0f) : http_({.port = 0}), small_(gain) {
    http_.listen();
    thread_ = std::thread([this] { http_.run(small_.service); });
  }
  // Stops it as an operator would.
  ~RunningServer() {
    std::raise(SIGTERM);
    thread_.join();
  }

  // Sends bytes on a connection of their own.
  void send(tcp::socket& socket, const std::string& bytes) const {
    const std::string url = http_.url();
    const auto port = static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    socket.connect({asio::ip::make_address("127.0.0.1"), port});
    asio::write(socket, asio::buffer(bytes));
  }

  // The whole reply, head and body.
  std::string ask(const std::string& bytes) const {
    asio::io_context io;
    tcp::socket socket(io);
    send(socket, bytes);
    std::string reply;
    boost::system::error_code end;
    asio::read(socket, asio::dynamic_buffer(reply), end);
    return reply;
  }

 private:
  http::Server http_;  // before the engine, which wakes it until it ends
  SmallService small_;
  std::thread thread_;
};

std::string chat(const std::string& fields) {
  const std::string body = R"({"model":"small","messages":[{"role":"user","content":"Hi"}],)" + fields + "}";
  return fmt::format("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

// A reply's text without what differs from one reply to the next.
std::string content(const std::string& reply) {
  const size_t begin = reply.find("\"choices\"");
  return begin == std::string::npos ? reply : reply.substr(begin, reply.find("\"usage\"") - begin);
}

TEST(ServerThreads, ManyClientsAtOnceAndThoseThatGo) {
  const RunningServer server;
  const std::string whole = chat(R"("seed":1,"max_tokens":30,"ignore_eos":true,"n":2)");
  const std::string streamed = chat(R"("seed":1,"max_tokens":60,"ignore_eos":true,"stream":true)");
  const std::string alone = server.ask(whole);
  ASSERT_EQ(alone.substr(0, 15), "HTTP/1.0 200 OK");
  std::vector<std::thread> clients;
  for (int client = 0; client < 6; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(content(server.ask(whole)), content(alone));
        EXPECT_NE(server.ask("GET /v1/models HTTP/1.0\r\n\r\n").find("\"small\""), std::string::npos);
        asio::io_context io;
        tcp::socket socket(io);
        server.send(socket, streamed);
        char first = 0;
        if ((client + i) % 2 == 0) asio::read(socket, asio::buffer(&first, 1));
        // ... and goes without the rest.
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST(ServerThreads, AStopWhileClientsAsk) {
  std::vector<std::thread> clients;
  {
    const RunningServer server;
    const std::string streamed = chat(R"("max_tokens":90,"ignore_eos":true,"stream":true)");
    for (int client = 0; client < 6; ++client) {
      clients.emplace_back(
          [&server, &streamed] { EXPECT_NE(server.ask(streamed).find("[DONE]"), std::string::npos); });
    }
    for (std::thread& client : clients) client.join();
    clients.clear();
    asio::io_context io;
    tcp::socket running(io);
    server.send(running, streamed);
  }
}

TEST(ServerThreads, ARefusedValueIsAStatusEvenForAStream) {
  const RunningServer server(1e9f);
  for (const char* fields : {R"("stream":true)", R"("stream":false)"}) {
    const std::string reply = server.ask(chat(fields));
    EXPECT_NE(reply.substr(0, 13), "HTTP/1.0 200 ") << reply;
    EXPECT_NE(reply.find(R"({"error":{"message":)"), std::string::npos) << reply;
  }
}

}  // namespace
}  // namespace lockstep::tests
