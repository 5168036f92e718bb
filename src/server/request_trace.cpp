#include "server/request_trace.h"

#include <cmath>

#include "http/target.h"

namespace lockstep::server {

namespace {

constexpr size_t kPathBytesMax = 512;  // in the log

// Where an error has no code of its own.
std::string reason_of(unsigned status) {
  switch (status) {
    case 400:
      return "invalid_request";
    case 401:
      return "invalid_api_key";
    case 403:
      return "forbidden";
    case 404:
      return "not_found";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_exceeded";
    case 431:
      return "header_too_large";
    case 499:
      return "client_closed_request";
    case 503:
      return "over_capacity";
    default:
      return status < 400 ? "" : status < 500 ? "client_error" : "server_error";
  }
}

double milliseconds(double seconds) {
  return std::round(seconds * 1e5) / 100;
}

class TracedReply : public http::Reply {
 public:
  TracedReply(std::unique_ptr<http::Reply> reply, std::shared_ptr<RequestTrace> trace)
      : trace_(std::move(trace)), reply_(std::move(reply)) {}

  http::Piece next() override {
    http::Piece piece = reply_->next();
    if (piece.head) trace_->replied(piece.head->status);
    if (piece.last) trace_->completed();
    return piece;
  }
  http::Pace pace() override { return reply_->pace(); }
  void stop() override { reply_->stop(); }

 private:
  const std::shared_ptr<RequestTrace> trace_;
  const std::unique_ptr<http::Reply> reply_;  // ends before it, and tells it so
};

}  // namespace

RequestTrace::RequestTrace(const Observers& observers, const http::Request& request)
    : observers_(observers),
      id_(request.id),
      client_(request.client),
      method_(request.method),
      path_(http::Target(request.target).path.substr(0, kPathBytesMax)),
      received_s_(request.received_s) {
  end_.endpoint = "none";
}

RequestTrace::~RequestTrace() {
  try {
    if (!completed_) refuse(499, "");
    end_.seconds = seconds();
    if (end_.reason.empty()) end_.reason = reason_of(end_.status);
    observers_.metrics.request_ended(end_);
    if (observers_.log == nullptr) return;
    const bool probe = end_.status < 400 && (end_.endpoint == "/metrics" || end_.endpoint == "/healthz" ||
                                             end_.endpoint == "/health" || end_.endpoint == "/readyz");
    const Log::Level level = probe                ? Log::Level::Debug
                             : end_.status >= 500 ? Log::Level::Warn
                                                  : Log::Level::Info;
    ReplyJson fields = {{"request_id", id_},     {"client", client_},
                        {"method", method_},     {"path", path_},
                        {"status", end_.status}, {"duration_ms", milliseconds(end_.seconds)}};
    if (!end_.reason.empty()) fields["reason"] = end_.reason;
    if (!key_id_.empty()) fields["key_id"] = key_id_;
    if (!end_.model.empty()) fields["model"] = end_.model;
    if (end_.usage.total_tokens() != 0) {
      fields["prompt_tokens"] = end_.usage.prompt_tokens;
      fields["cached_tokens"] = end_.usage.cached_tokens;
      fields["completion_tokens"] = end_.usage.completion_tokens;
      if (end_.first_token_s) fields["first_token_ms"] = milliseconds(*end_.first_token_s);
      fields["queue_ms"] = milliseconds(end_.usage.queue_s);
    }
    observers_.log->write(level, "request", fields);
  } catch (const std::exception&) {
    // Out of memory: the request ends without a line.
  }
}

void RequestTrace::refuse(unsigned status, const std::string& code) {
  end_.status = status;
  end_.reason = code.empty() ? reason_of(status) : code;
}

void RequestTrace::settle(const Outcome& outcome) {
  end_.usage = outcome.usage;
  end_.first_token_s = outcome.first_token_s;
  end_.token_s = outcome.token_s;
  if (outcome.status != 200) refuse(outcome.status, outcome.error_code);
}

double RequestTrace::seconds() const {
  return http::clock_s() - received_s_;
}

std::unique_ptr<http::Reply> traced(std::unique_ptr<http::Reply> reply, std::shared_ptr<RequestTrace> trace) {
  return std::make_unique<TracedReply>(std::move(reply), std::move(trace));
}

}  // namespace lockstep::server
