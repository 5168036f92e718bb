// The request log as a file that is made while it is read.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <memory>

#include "accounts/access.h"
#include "http/service.h"

namespace lockstep::server {

enum class LogFormat : uint8_t { JsonLines, Csv };

// Exports read the database page by page, in a thread of their own, and no more than one page ahead of the
// client. THREAD: any.
class LogExporter {
 public:
  // Ends when the page that is being read is there; replies that are left say no more.
  ~LogExporter() { pool_.join(); }

  // All rows that the filter lets through, newest first. What the first page throws is thrown here.
  std::unique_ptr<http::Reply> start(const accounts::Access& access, accounts::UsageFilter filter,
                                     accounts::Access::Reach reach, LogFormat format, http::Wake wake);

 private:
  boost::asio::thread_pool pool_{1};
};

}  // namespace lockstep::server
