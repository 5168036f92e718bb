#include "server/files/file_upload.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/printable.h"
#include "http/multipart.h"
#include "server/api_error.h"

namespace lockstep::server {

namespace {

constexpr size_t kNameBytesMax = 255;
constexpr int64_t kLeastKept_s = 3600;  // OpenAI's bounds of expires_after[seconds]
constexpr int64_t kMostKept_s = kFileKept_ms / accounts::kSecond_ms;

std::string read_filename(const http::Part& part) {
  if (!part.file_name || part.file_name->empty()) {
    bad_field("file",
              "the part must have a filename: content-disposition: form-data; name=\"file\"; "
              "filename=\"NAME\"");
  }
  const std::string& name = *part.file_name;
  const bool control =
      std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 32 || c == 127; });
  if (name.size() > kNameBytesMax || control || !is_utf8(name)) {
    bad_field("file", "the filename must be UTF-8 of up to {} bytes without control characters",
              kNameBytesMax);
  }
  return name;
}

std::string read_purpose(std::string_view purpose) {
  if (purpose == kBatchPurpose || purpose == kUserPurpose) return std::string(purpose);
  if (purpose == kBatchOutputPurpose)
    bad_field("purpose", "files of purpose 'batch_output' are made by batches");
  bad_field("purpose", "value must be 'batch' or 'user_data'");
}

int64_t read_kept_s(std::string_view text) {
  int64_t seconds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || seconds < kLeastKept_s ||
      seconds > kMostKept_s) {
    bad_field("expires_after[seconds]", "value must be an integer from {} to {}", kLeastKept_s, kMostKept_s);
  }
  return seconds;
}

}  // namespace

FileUpload read_file_upload(const http::Request& request, int64_t now_ms) {
  static const std::string_view kAnchor = "expires_after[anchor]", kSeconds = "expires_after[seconds]";
  const std::vector<http::Part> parts = http::parse_multipart(request.header("content-type"), request.body);
  std::map<std::string_view, const http::Part*> fields;
  for (const http::Part& part : parts) {
    const bool known =
        part.name == "file" || part.name == "purpose" || part.name == kAnchor || part.name == kSeconds;
    if (!known) bad_field(part.name, "the form's field is unsupported; it may have 'file' and 'purpose'");
    if (!fields.emplace(part.name, &part).second) bad_field(part.name, "the form has it twice; send it once");
  }
  for (const char* name : {"file", "purpose"}) {
    if (!fields.contains(name)) bad_field(name, "the form's field '{}' is missing", name);
  }
  if (fields.contains(kAnchor) != fields.contains(kSeconds)) {
    bad_field("expires_after", "it needs both 'anchor' and 'seconds'");
  }
  FileUpload upload;
  upload.content = fields["file"]->body;
  upload.file.filename = read_filename(*fields["file"]);
  upload.file.purpose = read_purpose(fields["purpose"]->body);
  upload.file.created_at_ms = now_ms;
  upload.file.expires_at_ms = now_ms + kFileKept_ms;
  if (fields.contains(kSeconds)) {
    if (fields[kAnchor]->body != "created_at") bad_field(std::string(kAnchor), "value must be 'created_at'");
    upload.file.expires_at_ms = now_ms + read_kept_s(fields[kSeconds]->body) * accounts::kSecond_ms;
  }
  return upload;
}

}  // namespace lockstep::server
