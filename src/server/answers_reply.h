// Replies that tell answers as they come.
#pragma once

#include <memory>
#include <string>

#include "server/answers.h"
#include "server/api_error.h"
#include "server/json_reply.h"

namespace lockstep::server {

// A body that grows with the answers.
class AnswersReply : public http::Reply {
 public:
  AnswersReply(std::unique_ptr<Answers> answers, http::Head head)
      : answers_(std::move(answers)), head_(std::move(head)) {}

  http::Piece next() final;
  void stop() final { answers_->cancel(); }

 protected:
  // Appends what is new in answers(); `finished`: nothing more comes, and the body ends here.
  virtual void append_news(bool finished, std::string& body) = 0;
  // Appends an error to what was sent already; the body ends here.
  virtual void append_error(const ApiError& error, std::string& body) = 0;
  // The reply for an error before the first byte.
  virtual std::unique_ptr<http::Reply> refusal(const ApiError& error) const { return error.reply(); }
  Answers& answers() { return *answers_; }

 private:
  void end_with(const ApiError& error, http::Piece& piece);

  const std::unique_ptr<Answers> answers_;
  http::Head head_;
  bool begun_ = false;
};

// One JSON object, sent when all is there.
class WholeAnswersReply : public AnswersReply {
 public:
  explicit WholeAnswersReply(std::unique_ptr<Answers> answers)
      : AnswersReply(std::move(answers), http::Head{}) {}

  http::Pace pace() final { return answers().finished() ? http::Pace::Works : http::Pace::Quick; }

 protected:
  // The object; answers() have ended.
  virtual ReplyJson whole() = 0;

 private:
  void append_news(bool finished, std::string& body) final {
    if (finished) body += to_text(whole());
  }
  void append_error(const ApiError&, std::string&) final {}
};

}  // namespace lockstep::server
