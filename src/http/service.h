// What the socket side (server.h) and those who answer say to each other.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep::http {

using Headers = std::vector<std::pair<std::string, std::string>>;  // names in lower case

struct Request {
  std::string id;      // req_...: also the reply's header x-request-id
  std::string method;  // "GET"; a HEAD is asked for as GET
  std::string target;  // as it came: the path, perhaps with a query
  Headers headers = {};
  std::string body = {};
  std::string client = {};  // the address it came from
  // When its first byte came, in seconds of a clock that only goes on; for times that a client sees.
  double received_s = 0;

  // The header's value, empty where there is none.
  std::string_view header(std::string_view lower_case_name) const;
};

// Now, on the clock of Request::received_s.
double clock_s();

struct Head {
  unsigned status = 200;
  std::string content_type = "application/json";
  Headers headers = {};  // further ones
};

// A reply's next piece. Nothing set: there is none yet.
struct Piece {
  std::optional<Head> head;  // with the first piece
  std::string body;
  bool last = false;
};

// How long a call may take, which decides who makes it: the thread that moves all bytes, those that work out
// answers, or those that may wait for a disk or a database.
enum class Pace { Quick, Works, Waits };

// A reply as it grows. Destroyed early when the client has gone, which ends the work for it.
class Reply {
 public:
  virtual ~Reply() = default;
  // Called again after the reply's Wake, and after a piece was written.
  virtual Piece next() = 0;
  // Of the next call of next(). Quick itself.
  virtual Pace pace() { return Pace::Quick; }
  // The server will not wait any longer: what can be ends soon, with an error. Quick. THREAD: any.
  virtual void stop() {}
};

// Tells that next() has something. THREAD: any; neither waits nor throws.
using Wake = std::function<void()>;

// What a request's head decides.
struct Admission {
  size_t body_bytes_max = 0;
  Pace pace = Pace::Works;                   // of answer()
  std::unique_ptr<Reply> refusal = nullptr;  // this is the answer, and no body is read
};

// What answers requests. THREAD: called by several threads at once.
class Service {
 public:
  virtual ~Service() = default;
  // Asked before a byte of the body is read. `usual_bytes` is the server's option. Quick.
  virtual Admission admit(const Request& /*head*/, size_t usual_bytes) { return {usual_bytes}; }
  // The server is to stop: requests that come from now on come on new connections, one on each.
  virtual void drain() {}
  virtual std::unique_ptr<Reply> answer(const Request& request, Wake wake) = 0;
  // What is said about bytes that are no request, or one that is too large; `message` is a sentence.
  virtual std::unique_ptr<Reply> refuse(const Request& request, unsigned status, std::string message) = 0;
};

// A reply that is there at once.
class WholeReply : public Reply {
 public:
  WholeReply(Head head, std::string body) : piece_{std::move(head), std::move(body), true} {}
  Piece next() override { return std::exchange(piece_, {}); }

 private:
  Piece piece_;
};

}  // namespace lockstep::http
