// Replies whose bodies are read from a disk or a database.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "http/service.h"

namespace lockstep::server {

// Reads pieces of bodies in threads of its own, and of each body no more than one piece ahead of the client:
// a disk that is slow or hangs stops none of the threads that answer. THREAD: any.
class ReadAhead {
 public:
  struct Portion {
    std::string bytes;  // not empty before the last
    bool last = false;
  };
  // Gives what comes next. Called by one thread at a time, until it has given the last or thrown.
  using Source = std::function<Portion()>;

  explicit ReadAhead(size_t threads) : pool_(threads) {}
  // Ends when the pieces that are being read are there; replies that are left say no more.
  ~ReadAhead() { pool_.join(); }

  // A reply with this head and the source's body. What the source throws ends the connection in the body's
  // middle, so that the client knows.
  std::unique_ptr<http::Reply> reply(http::Head head, Source source, http::Wake wake);

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace lockstep::server
