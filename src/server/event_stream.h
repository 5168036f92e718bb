// A reply of server-sent events.
#pragma once

#include <memory>
#include <string>

#include "server/answers.h"

namespace lockstep::server {

// The bytes of an event stream: https://html.spec.whatwg.org/multipage/server-sent-events.html
// Before its first event an error is an ordinary reply; after it, an event `error`.
class EventStreamReply : public http::Reply {
 public:
  explicit EventStreamReply(std::unique_ptr<Answers> answers) : answers_(std::move(answers)) {}

  http::Piece next() final;

 protected:
  // Appends the events for what is new in answers(); `finished`: nothing more comes, and the stream ends
  // here.
  virtual void append_news(bool finished, std::string& body) = 0;
  Answers& answers() { return *answers_; }

 private:
  const std::unique_ptr<Answers> answers_;
  bool begun_ = false;
};

// Appends an event without a name.
void append_event(const std::string& data, std::string& body);

}  // namespace lockstep::server
