#include "server/batches/batch.h"

#include <algorithm>

#include "base/error.h"
#include "server/organization/entity_json.h"

namespace lockstep::server {

namespace {

constexpr std::array kOpen = {BatchStatus::Validating, BatchStatus::InProgress, BatchStatus::Finalizing,
                              BatchStatus::Cancelling};

ReplyJson text_or_null(const std::optional<std::string>& text) {
  return text ? ReplyJson(*text) : ReplyJson();
}

}  // namespace

const char* batch_status_name(BatchStatus status) {
  static constexpr std::array kNames = {"validating", "failed",  "in_progress", "finalizing",
                                        "completed",  "expired", "cancelling",  "cancelled"};
  return kNames.at(static_cast<size_t>(status));
}

BatchStatus batch_status_named(const std::string& name) {
  const auto found = std::find_if(kBatchStatuses.begin(), kBatchStatuses.end(),
                                  [&](BatchStatus status) { return name == batch_status_name(status); });
  if (found == kBatchStatuses.end()) internal_error("a batch has the unknown status '{}'", name);
  return *found;
}

const std::string& open_statuses_sql() {
  static const std::string sql = [] {
    std::string list;
    for (const BatchStatus status : kOpen) {
      list += fmt::format("{}'{}'", list.empty() ? "" : ", ", batch_status_name(status));
    }
    return fmt::format("({})", list);
  }();
  return sql;
}

void Batch::enter(BatchStatus next, int64_t now_ms) {
  status = next;
  since(next) = now_ms;
}

ReplyJson batch_errors_json(const std::vector<BatchError>& errors) {
  ReplyJson list = ReplyJson::array();
  for (const BatchError& error : errors) {
    ReplyJson item;
    item["code"] = error.code;
    item["message"] = error.message;
    item["param"] = error.param.empty() ? ReplyJson() : ReplyJson(error.param);
    item["line"] = error.line ? ReplyJson(*error.line) : ReplyJson();
    list.push_back(std::move(item));
  }
  return list;
}

ReplyJson batch_json(const Batch& batch) {
  const auto seconds = [&](BatchStatus status) { return time_json(batch.since(status)); };
  ReplyJson json;
  json["id"] = batch.id;
  json["object"] = "batch";
  json["endpoint"] = batch.endpoint;
  json["errors"] = nullptr;
  if (!batch.errors.empty()) {
    json["errors"] = {{"object", "list"}, {"data", batch_errors_json(batch.errors)}};
  }
  json["input_file_id"] = batch.input_file_id;
  json["completion_window"] = batch.completion_window;
  json["status"] = batch_status_name(batch.status);
  json["output_file_id"] = text_or_null(batch.output_file_id);
  json["error_file_id"] = text_or_null(batch.error_file_id);
  json["finalizing_at"] = seconds(BatchStatus::Finalizing);
  json["failed_at"] = seconds(BatchStatus::Failed);
  json["expired_at"] = seconds(BatchStatus::Expired);
  json["cancelled_at"] = seconds(BatchStatus::Cancelled);
  json["request_counts"] = {{"total", batch.total}, {"completed", batch.completed}, {"failed", batch.failed}};
  json["metadata"] = batch.metadata ? ReplyJson::parse(*batch.metadata) : ReplyJson();
  json["created_at"] = seconds(BatchStatus::Validating);
  json["expires_at"] = unix_seconds_of(batch.expires_at_ms);
  json["cancelling_at"] = seconds(BatchStatus::Cancelling);
  json["completed_at"] = seconds(BatchStatus::Completed);
  json["in_progress_at"] = seconds(BatchStatus::InProgress);
  return json;
}

}  // namespace lockstep::server
