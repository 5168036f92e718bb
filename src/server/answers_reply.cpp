#include "server/answers_reply.h"

#include <utility>

namespace lockstep::server {

http::Piece AnswersReply::next() {
  http::Piece piece;
  try {
    answers_->take_news();
    piece.last = answers_->finished();
    append_news(piece.last, piece.body);
  } catch (const ApiError& error) {
    if (!begun_) return refusal(error)->next();
    append_error(error, piece.body);
    piece.last = true;
  }
  if (!begun_ && !piece.body.empty()) {
    begun_ = true;
    piece.head = std::move(head_);
  }
  return piece;
}

}  // namespace lockstep::server
