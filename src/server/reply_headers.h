// Headers that are added to a reply from outside.
#pragma once

#include <memory>

#include "http/service.h"

namespace lockstep::server {

// The same reply with further headers in its head.
std::unique_ptr<http::Reply> with_headers(std::unique_ptr<http::Reply> reply, http::Headers headers);

}  // namespace lockstep::server
