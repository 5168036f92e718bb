// A reply of server-sent events.
#pragma once

#include <memory>
#include <string>

#include "server/answers_reply.h"

namespace lockstep::server {

// The bytes of an event stream: https://html.spec.whatwg.org/multipage/server-sent-events.html
// An error after its first event is an event `error`.
class EventStreamReply : public AnswersReply {
 public:
  explicit EventStreamReply(std::unique_ptr<Answers> answers)
      : AnswersReply(std::move(answers), {200, "text/event-stream", {{"x-accel-buffering", "no"}}}) {}

 protected:
  void append_error(const ApiError& error, std::string& body) override;
};

// Appends an event without a name, and one with a name.
void append_event(const std::string& data, std::string& body);
void append_event(const std::string& name, const std::string& data, std::string& body);

}  // namespace lockstep::server
