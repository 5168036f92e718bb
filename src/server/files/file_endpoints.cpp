#include "server/files/file_endpoints.h"

#include <algorithm>
#include <fstream>
#include <memory>

#include "server/api_error.h"
#include "server/files/file_upload.h"
#include "server/organization/entity_json.h"
#include "server/read_ahead.h"

namespace lockstep::server {

namespace {

constexpr int64_t kListMax = 10000;  // with OpenAI also what a list has that asks for no limit
constexpr size_t kPieceBytes = 256 << 10;
constexpr size_t kReadingThreads = 2;

// A name as RFC 8187 writes it: all but letters, digits and a few signs as %XX.
std::string encoded_name(std::string_view name) {
  std::string encoded;
  for (const unsigned char c : name) {
    const bool plain = std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
    encoded += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return encoded;
}

// A file's contents, piece by piece. A file that is deleted meanwhile is sent to its end.
class Contents {
 public:
  Contents(const File& file, const std::filesystem::path& path)
      : left_(static_cast<size_t>(file.bytes)), content_(path, std::ios::binary) {
    if (!content_) {
      throw ApiError(404, "file_not_found", "file_id",
                     fmt::format("The contents of the file '{}' are not on this server.", file.id));
    }
  }

  ReadAhead::Portion next() {
    ReadAhead::Portion portion;
    portion.bytes.resize(std::min(left_, kPieceBytes));
    if (!content_.read(portion.bytes.data(), static_cast<std::streamsize>(portion.bytes.size()))) {
      machine_error("a file's contents can not be read");
    }
    left_ -= portion.bytes.size();
    portion.last = left_ == 0;
    return portion;
  }

 private:
  size_t left_;
  std::ifstream content_;
};

std::unique_ptr<http::Reply> download(const FileStore& files, ReadAhead& reader, const Call& call) {
  const File file = files.find(call.caller.project_id, call.parameters[0]);
  const auto contents = std::make_shared<Contents>(file, files.content_path(file.id));
  http::Head head{200,
                  "application/octet-stream",
                  {{"content-disposition", "attachment; filename*=UTF-8''" + encoded_name(file.filename)}}};
  return reader.reply(
      std::move(head), [contents] { return contents->next(); }, call.wake);
}

std::unique_ptr<http::Reply> upload(FileStore& files, const Call& call) {
  FileUpload upload = read_file_upload(call.request, accounts::now_ms());
  upload.file.project_id = call.caller.project_id;
  return json_reply(file_json(files.add(std::move(upload.file), as_bytes(upload.content))));
}

std::unique_ptr<http::Reply> list(const FileStore& files, const Call& call) {
  QueryFields query(call.target);
  const std::optional<std::string> purpose = query.text("purpose");
  const Page asked = read_page(query, kListMax, kListMax);
  query.finish();
  const PageOf<File> page = files.list(call.caller.project_id, purpose, asked);
  ReplyJson data = ReplyJson::array();
  for (const File& file : page.rows) data.push_back(file_json(file));
  return json_reply(list_json(std::move(data), page.has_more));
}

}  // namespace

void add_file_endpoints(Router& router, FileStore& files) {
  const auto add = [&](const char* method, const char* pattern, Handler handler) {
    router.add(method, pattern, accounts::Action::UseFiles, std::move(handler));
  };
  add("POST", "/v1/files", [&files](Call& call) { return upload(files, call); });
  add("GET", "/v1/files", [&files](Call& call) { return list(files, call); });
  add("GET", "/v1/files/{file_id}", [&files](Call& call) {
    return json_reply(file_json(files.find(call.caller.project_id, call.parameters[0])));
  });
  add("DELETE", "/v1/files/{file_id}", [&files](Call& call) {
    const std::string& id = call.parameters[0];
    files.remove(call.caller.project_id, id);
    return deleted_reply(id, "file");
  });
  const auto reader = std::make_shared<ReadAhead>(kReadingThreads);
  add("GET", "/v1/files/{file_id}/content",
      [&files, reader](Call& call) { return download(files, *reader, call); });
}

}  // namespace lockstep::server
