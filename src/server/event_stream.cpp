#include "server/event_stream.h"

namespace lockstep::server {

void EventStreamReply::append_error(const ApiError& error, std::string& body) {
  append_event("error", error.body(), body);
}

void append_event(const std::string& data, std::string& body) {
  body += "data: ";
  body += data;
  body += "\n\n";
}

void append_event(const std::string& name, const std::string& data, std::string& body) {
  body += "event: ";
  body += name;
  body += '\n';
  append_event(data, body);
}

}  // namespace lockstep::server
