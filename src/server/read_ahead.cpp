#include "server/read_ahead.h"

#include <boost/asio/post.hpp>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

namespace lockstep::server {

namespace {

// Between the thread that reads and the reply, either of which may be there longer.
class Pages {
 public:
  Pages(ReadAhead::Source source, http::Wake wake) : source_(std::move(source)), wake_(std::move(wake)) {}

  void read() {
    ReadAhead::Portion portion;
    std::exception_ptr failure;
    try {
      portion = source_();
    } catch (const std::exception&) {
      failure = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      read_ = std::move(portion);
      failure_ = failure;
    }
    wake_();
  }

  // Empty: the portion is still being read.
  std::optional<ReadAhead::Portion> take() {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    return std::exchange(read_, std::nullopt);
  }

 private:
  const ReadAhead::Source source_;
  const http::Wake wake_;
  std::mutex mutex_;
  std::optional<ReadAhead::Portion> read_;
  std::exception_ptr failure_;
};

class ReadAheadReply : public http::Reply {
 public:
  ReadAheadReply(http::Head head, std::shared_ptr<Pages> pages, boost::asio::thread_pool& pool)
      : head_(std::move(head)), pages_(std::move(pages)), pool_(pool) {
    read();
  }

  http::Piece next() override {
    std::optional<ReadAhead::Portion> portion = pages_->take();
    if (!portion) return {};
    if (!portion->last) read();
    return {std::exchange(head_, std::nullopt), std::move(portion->bytes), portion->last};
  }

 private:
  void read() {
    boost::asio::post(pool_, [pages = pages_] { pages->read(); });
  }

  std::optional<http::Head> head_;
  const std::shared_ptr<Pages> pages_;
  boost::asio::thread_pool& pool_;
};

}  // namespace

std::unique_ptr<http::Reply> ReadAhead::reply(http::Head head, Source source, http::Wake wake) {
  return std::make_unique<ReadAheadReply>(std::move(head),
                                          std::make_shared<Pages>(std::move(source), std::move(wake)), pool_);
}

}  // namespace lockstep::server
