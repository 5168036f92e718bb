// The files of this folder that the published document is made of: src/server/openapi/*.json.
#pragma once

#include <span>
#include <string_view>

namespace lockstep::server {

std::span<const std::string_view> openapi_texts();

}  // namespace lockstep::server
