#include "server/batches/line_request.h"

#include "server/api_error.h"

namespace lockstep::server {

LineRequest::LineRequest(const AnswerCall& answer, const Batch& batch, BatchLine content, int64_t line,
                         http::Wake wake)
    : line_(line),
      custom_id_(std::move(content.custom_id)),
      request_{.id = batch_request_id(batch.id, line),
               .method = "POST",
               .target = std::move(content.url),
               .headers = {{"content-type", "application/json"}},
               .body = std::move(content.body),
               .received_s = http::clock_s()},
      record_(std::make_shared<std::optional<accounts::UsageRecord>>()) {
  Call call{.request = request_,
            .target = http::Target(request_.target),
            .wake = std::move(wake),
            .caller = batch.caller,
            .batch_id = batch.id,
            .take_record = [record = record_](accounts::UsageRecord given) { *record = std::move(given); }};
  reply_ = answer(call);
}

bool LineRequest::advance() {
  try {
    while (reply_ != nullptr) {
      http::Piece piece = reply_->next();
      if (!piece.head && piece.body.empty() && !piece.last) return false;
      if (piece.head) status_ = piece.head->status;
      body_ += piece.body;
      if (piece.last) reply_.reset();
    }
  } catch (const std::exception& error) {
    reply_.reset();
    status_ = 503;
    body_ = ApiError(503, "", "", error.what()).body();
  }
  return true;
}

BatchResult LineRequest::result() const {
  return answered_line(line_, custom_id_, request_.id, status_, body_);
}

}  // namespace lockstep::server
