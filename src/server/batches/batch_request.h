// The body of POST /v1/batches.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/batches/batch.h"

namespace lockstep::server {

// A batch without id and caller. Throws an ApiError that names the field.
Batch parse_batch_request(std::string_view body, const std::vector<std::string>& endpoints, int64_t now_ms);

}  // namespace lockstep::server
