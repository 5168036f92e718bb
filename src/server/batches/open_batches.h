// Batches that have not ended: which there are, and which of them to work on.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "accounts/caller.h"
#include "database/database.h"
#include "server/batches/batch.h"

namespace lockstep::server {

// Of a project; more are refused.
inline constexpr int64_t kOpenBatchesMax = 1000;

struct OpenBatch {
  std::string id;
  BatchStatus status = BatchStatus::Validating;
  int64_t expires_at_ms = 0;
  accounts::Caller caller = {};            // who made it, with the role, scopes and settings of now
  std::optional<BatchError> refusal = {};  // why the caller may have no further line answered

  // It needs no line to be answered any more, and so soon ends.
  bool ending(int64_t now_ms) const;
};

// The oldest first. Asks for some at a time. Throws a machine's error.
std::vector<OpenBatch> open_batches(database::Database& database, int64_t now_ms);
int64_t count_open_batches(database::Transaction& transaction, const std::string& project_id);

// In the order in which they get places: projects take turns, beginning after `after_project` in the order of
// ids, each with its oldest batch first. The batches must outlive the result.
std::vector<const OpenBatch*> in_turn(std::span<const OpenBatch> batches, const std::string& after_project);

}  // namespace lockstep::server
