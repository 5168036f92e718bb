#include "server/files/file_store.h"

#include <fstream>

#include "accounts/test_accounts.h"
#include "base/identifiers.h"
#include "server/api_error.h"
#include "server/batches/batch_store.h"
#include "server/files/file_upload.h"

namespace lockstep::server {
namespace {

using database::Transaction;

class FileStoreTest : public accounts::AccountsFixture {
 protected:
  File add(const std::string& content, const std::string& purpose = kUserPurpose, int64_t kept_ms = 1000) {
    const int64_t now_ms = accounts::now_ms();
    return files_.add({.project_id = project_,
                       .purpose = purpose,
                       .filename = "../../etc/passwd",
                       .created_at_ms = now_ms,
                       .expires_at_ms = now_ms + kept_ms},
                      as_bytes(content));
  }
  static unsigned refused(const std::function<void()>& action) {
    try {
      action();
    } catch (const ApiError& error) {
      return error.status();
    }
    return 0;
  }
  std::vector<std::string> ids(const Page& page, const std::optional<std::string>& purpose = {}) {
    std::vector<std::string> list;
    for (const File& file : files_.list(project_, purpose, page).rows) list.push_back(file.id);
    return list;
  }
  size_t contents() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_ / "files"), {}));
  }
  void open_batch(const std::string& input) {
    Batch batch;
    batch.id = "batch_" + new_ulid();
    batch.caller = owner_.caller();
    batch.input_file_id = input;
    batch.enter(BatchStatus::InProgress, 1);
    batch.enter(BatchStatus::Validating, 1);
    database_.write([&](Transaction& transaction) { batch_tables::insert(transaction, batch); });
  }

  store::TemporaryFolder folder_;
  accounts::Access owner_ = new_owner();
  const std::string project_ = owner_.caller().project_id;
  FileStore files_{database_, folder_ / "files", {.project_bytes = 250}};
};
INSTANTIATE_TEST_SUITE_P(Both, FileStoreTest, database::both_dialects(), database::dialect_name);

TEST_P(FileStoreTest, AFileIsOfItsProjectAlone) {
  const File file = add("hello");
  EXPECT_EQ(files_.find(project_, file.id).bytes, 5);
  std::ifstream content(files_.content_path(file.id));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(content), {}), "hello");
  const std::string other = new_owner("other").caller().project_id;
  EXPECT_EQ(refused([&] { files_.find(other, file.id); }), 404u);
  EXPECT_EQ(refused([&] { files_.remove(other, file.id); }), 404u);
  EXPECT_TRUE(files_.list(other, {}, {}).rows.empty());
  EXPECT_EQ(refused([&] { files_.find(project_, "../" + file.id); }), 404u);
  files_.remove(project_, file.id);
  EXPECT_EQ(refused([&] { files_.find(project_, file.id); }), 404u);
  EXPECT_EQ(contents(), 0u);
}

TEST_P(FileStoreTest, AProjectHasSoMuchRoom) {
  const File first = add(std::string(200, 'x'));
  EXPECT_EQ(refused([&] { add(std::string(51, 'x')); }), 400u);
  EXPECT_EQ(contents(), 1u);
  add(std::string(50, 'x'));
  files_.remove(project_, first.id);
  add(std::string(51, 'x'));
}

TEST_P(FileStoreTest, Pages) {
  std::vector<std::string> made;
  for (int i = 0; i < 5; ++i) made.push_back(add("x", i == 2 ? kBatchPurpose : kUserPurpose).id);
  std::sort(made.begin(), made.end());
  EXPECT_EQ(ids({.newest_first = false}), made);
  EXPECT_EQ(ids({.limit = 2, .newest_first = false}), (std::vector{made[0], made[1]}));
  EXPECT_EQ(ids({.after = made[1], .limit = 2, .newest_first = false}), (std::vector{made[2], made[3]}));
  EXPECT_EQ(ids({.after = made[1]}), (std::vector{made[0]}));
  EXPECT_EQ(ids({}, kBatchPurpose).size(), 1u);
  EXPECT_TRUE(files_.list(project_, {}, {.limit = 4}).has_more);
  EXPECT_FALSE(files_.list(project_, {}, {.limit = 5}).has_more);
}

TEST_P(FileStoreTest, TheInputOfAnOpenBatchStays) {
  const File file = add("x", kBatchPurpose, -1);
  open_batch(file.id);
  EXPECT_EQ(refused([&] { files_.remove(project_, file.id); }), 409u);
  files_.purge(accounts::now_ms());
  EXPECT_EQ(contents(), 1u);
  database_.execute("UPDATE batches SET status = 'completed'");
  files_.purge(accounts::now_ms());
  EXPECT_EQ(contents(), 0u);
  EXPECT_EQ(refused([&] { files_.find(project_, file.id); }), 404u);
}

TEST_P(FileStoreTest, LeftoversGo) {
  const File kept = add("x", kUserPurpose, accounts::kDay_ms);
  const auto leave = [&](const std::string& name, int age_h) {
    std::ofstream(folder_ / "files" / name) << "leftover";
    std::filesystem::last_write_time(
        folder_ / "files" / name, std::filesystem::file_time_type::clock::now() - std::chrono::hours(age_h));
  };
  leave("file_old", 2);
  leave("file_young", 0);
  leave("other", 2);
  std::filesystem::last_write_time(files_.content_path(kept.id),
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  files_.purge(accounts::now_ms());
  EXPECT_TRUE(std::filesystem::exists(files_.content_path(kept.id)));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "files" / "file_young"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "files" / "other"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "files" / "file_old"));
}

TEST_P(FileStoreTest, UnreadableFoldersWait) {
  add("x", kUserPurpose, accounts::kDay_ms);
  std::filesystem::remove_all(folder_ / "files");
  EXPECT_NO_THROW(files_.purge(accounts::now_ms()));
}

TEST_P(FileStoreTest, UploadsDoNotReadTheFolder) {
  const auto leftover = folder_ / "files" / ".lockstep-tmp-1-1";
  std::ofstream(leftover) << "of a process that was killed";
  add("x");
  EXPECT_TRUE(std::filesystem::exists(leftover));
  files_.purge(accounts::now_ms());
  EXPECT_FALSE(std::filesystem::exists(leftover));
}

// ------------------------------------------------------------------------------------- upload

http::Request form(const std::vector<std::pair<std::string, std::string>>& parts) {
  http::Request request;
  request.headers = {{"content-type", "multipart/form-data; boundary=xx"}};
  for (const auto& [disposition, body] : parts) {
    request.body += "--xx\r\ncontent-disposition: form-data; " + disposition + "\r\n\r\n" + body + "\r\n";
  }
  request.body += "--xx--\r\n";
  return request;
}

const std::pair<std::string, std::string> kFilePart = {R"(name="file"; filename="a.jsonl")", "one\r\ntwo"};
const std::pair<std::string, std::string> kPurposePart = {R"(name="purpose")", "batch"};

TEST(FileUpload, Read) {
  const http::Request request = form({kFilePart, kPurposePart});
  const FileUpload upload = read_file_upload(request, 5000);
  EXPECT_EQ(upload.content, "one\r\ntwo");
  EXPECT_EQ(upload.file.filename, "a.jsonl");
  EXPECT_EQ(upload.file.purpose, "batch");
  EXPECT_EQ(upload.file.expires_at_ms, 5000 + kFileKept_ms);
  const http::Request soon = form({kPurposePart,
                                   kFilePart,
                                   {R"(name="expires_after[anchor]")", "created_at"},
                                   {R"(name="expires_after[seconds]")", "3600"}});
  EXPECT_EQ(read_file_upload(soon, 5000).file.expires_at_ms, 5000 + 3'600'000);
}

TEST(FileUpload, WhatIsWrongIsNamed) {
  const auto param = [](const std::vector<std::pair<std::string, std::string>>& parts) -> std::string {
    try {
      const http::Request request = form(parts);
      read_file_upload(request, 0);
    } catch (const ApiError& error) {
      return error.param();
    }
    return "";
  };
  const std::pair<std::string, std::string> anchor = {R"(name="expires_after[anchor]")", "created_at"};
  EXPECT_EQ(param({kPurposePart}), "file");
  EXPECT_EQ(param({kFilePart}), "purpose");
  EXPECT_EQ(param({kFilePart, kPurposePart, kPurposePart}), "purpose");
  EXPECT_EQ(param({kFilePart, kPurposePart, {R"(name="model")", "x"}}), "model");
  EXPECT_EQ(param({kFilePart, {R"(name="purpose")", "batch_output"}}), "purpose");
  EXPECT_EQ(param({kFilePart, {R"(name="purpose")", "fine-tune"}}), "purpose");
  EXPECT_EQ(param({{R"(name="file")", "x"}, kPurposePart}), "file");
  EXPECT_EQ(param({{"name=\"file\"; filename=\"a\tb\"", "x"}, kPurposePart}), "file");
  EXPECT_EQ(param({kFilePart, kPurposePart, anchor}), "expires_after");
  EXPECT_EQ(param({kFilePart, kPurposePart, anchor, {R"(name="expires_after[seconds]")", "60"}}),
            "expires_after[seconds]");
}

}  // namespace
}  // namespace lockstep::server
