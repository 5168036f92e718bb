// A line of a batch on its way through the service.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "accounts/usage.h"
#include "http/service.h"
#include "server/batches/batch.h"
#include "server/batches/batch_line.h"
#include "server/router.h"

namespace lockstep::server {

// ApiService::answer_call.
using AnswerCall = std::function<std::unique_ptr<http::Reply>(Call& call)>;

// Let go before its end, it stops and costs nothing. THREAD: one at a time.
class LineRequest {
 public:
  // Sends the line, which is number `line` of its file. `wake`: advance() has something to do.
  LineRequest(const AnswerCall& answer, const Batch& batch, BatchLine content, int64_t line, http::Wake wake);

  // Takes what there is of the reply, without waiting; gives whether that was its end.
  bool advance();

  // What is there at the end: the answer, and what it is recorded with (nothing in rare cases where the
  // server had no memory).
  unsigned status() const { return status_; }
  BatchResult result() const;
  const std::optional<accounts::UsageRecord>& record() const { return *record_; }

 private:
  const int64_t line_;
  const std::string custom_id_;
  http::Request request_;
  unsigned status_ = 200;
  std::string body_;
  // Shared with the reply, which fills it in.
  const std::shared_ptr<std::optional<accounts::UsageRecord>> record_;
  std::unique_ptr<http::Reply> reply_;
};

}  // namespace lockstep::server
