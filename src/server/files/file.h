// A file that a client has uploaded or a batch has made.
#pragma once

#include <cstdint>
#include <string>

#include "accounts/calendar.h"
#include "server/json_reply.h"

namespace lockstep::server {

struct File {
  std::string id = {};  // file_ and a ULID
  std::string project_id = {};
  std::string purpose = {};   // kPurposes
  std::string filename = {};  // as the client named it; never part of a path
  int64_t bytes = 0;
  int64_t created_at_ms = 0;
  int64_t expires_at_ms = 0;
};

inline constexpr const char* kBatchPurpose = "batch";
inline constexpr const char* kBatchOutputPurpose = "batch_output";  // made by the server alone
inline constexpr const char* kUserPurpose = "user_data";

// How long a file is kept: with Groq 30 days (API.md section 11).
inline constexpr int64_t kFileKept_ms = 30 * accounts::kDay_ms;

ReplyJson file_json(const File& file);

}  // namespace lockstep::server
