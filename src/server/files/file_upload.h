// The form that uploads a file.
#pragma once

#include <string_view>

#include "http/service.h"
#include "server/files/file.h"

namespace lockstep::server {

struct FileUpload {
  File file;                 // without id, project and bytes
  std::string_view content;  // of the request's body
};

// Reads the fields `file`, `purpose`, and OpenAI's `expires_after[anchor]` and `expires_after[seconds]`.
// Throws an ApiError that names what is missing, wrong or unknown. `request` must outlive the result.
FileUpload read_file_upload(const http::Request& request, int64_t now_ms);

}  // namespace lockstep::server
