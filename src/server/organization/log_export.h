// The request log as a file that is made while it is read.
#pragma once

#include <memory>

#include "accounts/access.h"
#include "http/service.h"

namespace lockstep::server {

enum class LogFormat : uint8_t { JsonLines, Csv };

// All rows that the filter lets through, newest first. What reading the first one throws is thrown here.
std::unique_ptr<http::Reply> export_log(const accounts::Access& access, accounts::UsageFilter filter,
                                        accounts::Access::Reach reach, LogFormat format);

}  // namespace lockstep::server
