#include "server/reply_headers.h"

#include <iterator>
#include <utility>

namespace lockstep::server {

namespace {

class ReplyWithHeaders : public http::Reply {
 public:
  ReplyWithHeaders(std::unique_ptr<http::Reply> reply, http::Headers headers)
      : reply_(std::move(reply)), headers_(std::move(headers)) {}

  http::Piece next() override {
    http::Piece piece = reply_->next();
    if (piece.head) std::move(headers_.begin(), headers_.end(), std::back_inserter(piece.head->headers));
    return piece;
  }
  http::Pace pace() override { return reply_->pace(); }
  void stop() override { reply_->stop(); }

 private:
  const std::unique_ptr<http::Reply> reply_;
  http::Headers headers_;
};

}  // namespace

std::unique_ptr<http::Reply> with_headers(std::unique_ptr<http::Reply> reply, http::Headers headers) {
  if (headers.empty()) return reply;
  return std::make_unique<ReplyWithHeaders>(std::move(reply), std::move(headers));
}

}  // namespace lockstep::server
