// A batch: requests in a file that are answered when the server has nothing better to do.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "accounts/caller.h"
#include "server/json_reply.h"

namespace lockstep::server {

// validating -> in_progress -> finalizing -> completed. Other ends: failed (from validating), expired (from
// validating and in_progress), cancelling -> cancelled (from both, too).
enum class BatchStatus : uint8_t {
  Validating,
  Failed,
  InProgress,
  Finalizing,
  Completed,
  Expired,
  Cancelling,
  Cancelled
};
inline constexpr std::array kBatchStatuses = {
    BatchStatus::Validating, BatchStatus::Failed,  BatchStatus::InProgress, BatchStatus::Finalizing,
    BatchStatus::Completed,  BatchStatus::Expired, BatchStatus::Cancelling, BatchStatus::Cancelled};
// "in_progress".
const char* batch_status_name(BatchStatus status);
BatchStatus batch_status_named(const std::string& name);
// "('validating', ...)": those that have not ended, for SQL.
const std::string& open_statuses_sql();

// What is wrong with a batch's input.
struct BatchError {
  std::string code, message;
  std::string param = "";            // empty: none
  std::optional<int64_t> line = {};  // of the file, counted from 1
};
inline constexpr size_t kBatchErrorsMax = 100;  // that are told; reading ends there

struct Batch {
  std::string id;           // batch_ and a ULID
  accounts::Caller caller;  // who made it, as it was then; from the database without role and scopes
  std::string endpoint, input_file_id, completion_window;
  BatchStatus status = BatchStatus::Validating;
  std::vector<BatchError> errors = {};
  std::optional<std::string> output_file_id = {}, error_file_id = {};
  std::optional<std::string> metadata = {};      // a JSON object
  int64_t total = 0, completed = 0, failed = 0;  // lines
  int64_t expires_at_ms = 0;
  // When each status began; Validating: when the batch was made.
  std::array<std::optional<int64_t>, kBatchStatuses.size()> since_ms = {};

  std::optional<int64_t>& since(BatchStatus one) { return since_ms[static_cast<size_t>(one)]; }
  const std::optional<int64_t>& since(BatchStatus one) const { return since_ms[static_cast<size_t>(one)]; }
  void enter(BatchStatus next, int64_t now_ms);
};

// API.md section 11.
ReplyJson batch_json(const Batch& batch);
ReplyJson batch_errors_json(const std::vector<BatchError>& errors);

}  // namespace lockstep::server
