#include "server/batches/batch_request.h"

#include <algorithm>
#include <charconv>

#include "accounts/calendar.h"
#include "server/api_error.h"
#include "server/json_fields.h"

namespace lockstep::server {

namespace {

constexpr int64_t kShortestWindow_ms = accounts::kDay_ms;  // API.md section 11
constexpr int64_t kLongestWindow_ms = 7 * accounts::kDay_ms;
// OpenAI's bounds of metadata.
constexpr size_t kMetadataMax = 16, kMetadataNameBytes = 64, kMetadataValueBytes = 512;

// "24h" or "3d", from a day to a week.
int64_t window_ms(const std::string& text) {
  int64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  const bool unit = error == std::errc() && rest + 1 == end && (*rest == 'h' || *rest == 'd');
  const bool possible = unit && count > 0 && count <= 1000;
  const int64_t window = possible ? count * (*rest == 'h' ? accounts::kHour_ms : accounts::kDay_ms) : 0;
  if (window < kShortestWindow_ms || window > kLongestWindow_ms) {
    bad_field("completion_window", "value must be a time from '24h' to '7d', in hours or days");
  }
  return window;
}

std::optional<std::string> read_metadata(JsonFields& fields) {
  const RequestJson* metadata = fields.find("metadata");
  if (metadata == nullptr) return std::nullopt;
  if (!metadata->is_object() || metadata->size() > kMetadataMax) {
    bad_field("metadata", "value must be an object of up to {} strings", kMetadataMax);
  }
  for (const auto& [name, value] : metadata->items()) {
    if (name.size() > kMetadataNameBytes || !value.is_string() ||
        value.get_ref<const std::string&>().size() > kMetadataValueBytes) {
      bad_field("metadata", "names must have up to {} bytes, and values be strings of up to {} bytes",
                kMetadataNameBytes, kMetadataValueBytes);
    }
  }
  return metadata->dump();
}

}  // namespace

Batch parse_batch_request(std::string_view body, const std::vector<std::string>& endpoints, int64_t now_ms) {
  const RequestJson json = parse_json(body);
  JsonFields fields(json, "");
  Batch batch;
  batch.input_file_id = fields.required_text("input_file_id");
  batch.endpoint = fields.required_text("endpoint");
  if (std::find(endpoints.begin(), endpoints.end(), batch.endpoint) == endpoints.end()) {
    bad_field("endpoint", "value must be one of {}", fmt::join(endpoints, ", "));
  }
  batch.completion_window = fields.required_text("completion_window");
  batch.expires_at_ms = now_ms + window_ms(batch.completion_window);
  batch.metadata = read_metadata(fields);
  fields.finish();
  batch.enter(BatchStatus::Validating, now_ms);
  return batch;
}

}  // namespace lockstep::server
