#include "server/files/file_endpoints.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include "server/api_error.h"
#include "server/files/file_upload.h"
#include "server/organization/entity_json.h"

namespace lockstep::server {

namespace {

constexpr int64_t kListMax = 10000;  // with OpenAI also what a list has that asks for no limit
constexpr size_t kPieceBytes = 256 << 10;

// A name as RFC 8187 writes it: all but letters, digits and a few signs as %XX.
std::string encoded_name(std::string_view name) {
  std::string encoded;
  for (const unsigned char c : name) {
    const bool plain = std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
    encoded += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return encoded;
}

// A file's contents, piece by piece from the disk. A file that is deleted meanwhile is sent to its end.
class ContentReply : public http::Reply {
 public:
  ContentReply(const File& file, const std::filesystem::path& path)
      : name_(file.filename), left_(static_cast<size_t>(file.bytes)), content_(path, std::ios::binary) {
    if (!content_) {
      throw ApiError(404, "file_not_found", "file_id",
                     fmt::format("The contents of the file '{}' are not on this server.", file.id));
    }
  }

  http::Pace pace() override { return http::Pace::Waits; }

  http::Piece next() override {
    http::Piece piece;
    if (!begun_) piece.head = http::Head{200, "application/octet-stream", {disposition()}};
    begun_ = true;
    piece.body.resize(std::min(left_, kPieceBytes));
    if (!content_.read(piece.body.data(), static_cast<std::streamsize>(piece.body.size()))) {
      machine_error("a file's contents can not be read");  // ends the connection, so that the client knows
    }
    left_ -= piece.body.size();
    piece.last = left_ == 0;
    return piece;
  }

 private:
  std::pair<std::string, std::string> disposition() const {
    return {"content-disposition", "attachment; filename*=UTF-8''" + encoded_name(name_)};
  }

  const std::string name_;
  size_t left_;
  std::ifstream content_;
  bool begun_ = false;
};

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
  add("GET", "/v1/files/{file_id}/content", [&files](Call& call) {
    const File file = files.find(call.caller.project_id, call.parameters[0]);
    return std::make_unique<ContentReply>(file, files.content_path(file.id));
  });
}

}  // namespace lockstep::server
