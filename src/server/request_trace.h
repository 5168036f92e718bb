// Follows a request from its head to the end of its reply, for metrics and log.
#pragma once

#include <memory>
#include <string>

#include "http/service.h"
#include "server/answers.h"
#include "server/log.h"
#include "server/metrics.h"

namespace lockstep::server {

// Where a request is counted and written down when it has ended.
struct Observers {
  Metrics& metrics;
  Log* log = nullptr;  // none: nothing is written
};

// Shared by what works on the request; the last one to let go ends it. THREAD: one at a time.
class RequestTrace {
 public:
  // `observers` must outlive this.
  RequestTrace(const Observers& observers, const http::Request& request);
  ~RequestTrace();
  RequestTrace(const RequestTrace&) = delete;
  RequestTrace& operator=(const RequestTrace&) = delete;

  void set_endpoint(const std::string& pattern) { end_.endpoint = pattern; }
  void set_model(const std::string& id) { end_.model = id; }
  // The id of the caller's key; never the key.
  void set_key(const std::string& id) { key_id_ = id; }
  // Why it is refused: an error's status and code, which may be empty.
  void refuse(unsigned status, const std::string& code);

  // Told by what generated for it.
  void settle(const Outcome& outcome);

  // Told by the reply: its head, and that it was given out to its end.
  void replied(unsigned status) { end_.status = status; }
  void completed() { completed_ = true; }

 private:
  double seconds() const;

  const Observers& observers_;
  const std::string id_, client_, method_, path_;
  const double received_s_;
  std::string key_id_;
  RequestEnd end_;
  bool completed_ = false;
};

// The same reply, which tells the trace what becomes of it.
std::unique_ptr<http::Reply> traced(std::unique_ptr<http::Reply> reply, std::shared_ptr<RequestTrace> trace);

}  // namespace lockstep::server
