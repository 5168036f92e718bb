// What the socket side (http_server.h) and the API (api_service.h) say to each other.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lockstep::server {

struct HttpRequest {
  std::string id;      // req_...: also the reply's header x-request-id
  std::string method;  // "GET"; a HEAD is asked for as GET
  std::string target;  // as it came: the path, perhaps with a query
  std::string body;
};

struct HttpHead {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};  // further ones
};

// A reply's next piece. Nothing set: there is none yet.
struct HttpPiece {
  std::optional<HttpHead> head;  // with the first piece
  std::string body;
  bool last = false;
};

// A reply as it grows. Destroyed early when the client has gone, which ends the work for it.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  // Never waits. Called again after the reply's Wake, and after a piece was written.
  virtual HttpPiece next() = 0;
};

// Tells that next() has something. THREAD: any; neither waits nor throws.
using Wake = std::function<void()>;

// What answers requests. THREAD: answer() is called by several threads at once.
class HttpService {
 public:
  virtual ~HttpService() = default;
  virtual std::unique_ptr<HttpReply> answer(const HttpRequest& request, Wake wake) = 0;
};

// A reply that is there at once.
class WholeReply : public HttpReply {
 public:
  WholeReply(HttpHead head, std::string body) : piece_{std::move(head), std::move(body), true} {}
  HttpPiece next() override { return std::exchange(piece_, {}); }

 private:
  HttpPiece piece_;
};

}  // namespace lockstep::server
