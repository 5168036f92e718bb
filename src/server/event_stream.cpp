#include "server/event_stream.h"

#include "server/api_error.h"

namespace lockstep::server {

http::Piece EventStreamReply::next() {
  http::Piece piece;
  try {
    answers_->take_news();
    piece.last = answers_->finished();
    append_news(piece.last, piece.body);
  } catch (const ApiError& error) {
    if (!begun_) return error.reply()->next();
    piece.body += "event: error\n";
    append_event(error.body(), piece.body);
    piece.last = true;
  }
  if (!begun_ && !piece.body.empty()) {
    begun_ = true;
    piece.head = http::Head{200, "text/event-stream", {{"x-accel-buffering", "no"}}};
  }
  return piece;
}

void append_event(const std::string& data, std::string& body) {
  body += "data: ";
  body += data;
  body += "\n\n";
}

}  // namespace lockstep::server
