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
    end_with(error, piece);
  } catch (const std::exception&) {
    end_with(ApiError(500, "", "", "the server failed to write the answer; send the request again"), piece);
  }
  if (!begun_ && !piece.body.empty()) {
    begun_ = true;
    piece.head = std::move(head_);
  }
  return piece;
}

void AnswersReply::end_with(const ApiError& error, http::Piece& piece) {
  if (begun_) {
    append_error(error, piece.body);
    piece.last = true;
  } else {
    piece = refusal(error)->next();
    begun_ = true;
  }
}

}  // namespace lockstep::server
