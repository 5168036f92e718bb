// The request log as a file that is made while it is read.
#pragma once

#include <memory>

#include "accounts/access.h"
#include "http/service.h"
#include "server/read_ahead.h"

namespace lockstep::server {

enum class LogFormat : uint8_t { JsonLines, Csv };

// Exports read the database page by page, in a thread of their own. THREAD: any.
class LogExporter {
 public:
  // All rows that the filter lets through, newest first. What the first page throws is thrown here.
  std::unique_ptr<http::Reply> start(const accounts::Access& access, accounts::UsageFilter filter,
                                     accounts::Access::Reach reach, LogFormat format, http::Wake wake);

 private:
  ReadAhead reader_{1};
};

}  // namespace lockstep::server
