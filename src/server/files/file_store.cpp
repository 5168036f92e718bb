#include "server/files/file_store.h"

#include <chrono>
#include <set>
#include <system_error>

#include "base/identifiers.h"
#include "server/api_error.h"
#include "server/batches/batch.h"
#include "server/organization/entity_json.h"
#include "store/data_folder.h"

namespace lockstep::server {

namespace {

using database::Row;
using database::Transaction;

constexpr const char* kColumns = "id, project_id, purpose, filename, bytes, created_at_ms, expires_at_ms";
constexpr int64_t kLargestPurge = 1000;  // rows of one transaction
constexpr std::chrono::hours kLeftoverAge{1};

File file_of(const Row& row) {
  return {.id = row.text(0),
          .project_id = row.text(1),
          .purpose = row.text(2),
          .filename = row.text(3),
          .bytes = row.integer(4),
          .created_at_ms = row.integer(5),
          .expires_at_ms = row.integer(6)};
}

// A condition on a row of `files`: a batch that has not ended reads it.
std::string in_use() {
  return fmt::format("EXISTS (SELECT 1 FROM batches WHERE input_file_id = files.id AND status IN {})",
                     open_statuses_sql());
}

void require_room(Transaction& transaction, const File& file, const FileLimits& limits) {
  const int64_t used =
      transaction
          .execute("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM files WHERE project_id = $1",
                   {file.project_id})
          .rows.at(0)
          .integer(0);
  if (used + file.bytes <= limits.project_bytes) return;
  throw ApiError(
      400, "file_storage_exceeded", "file",
      fmt::format("The file has {} bytes, and the project's files may have {} together, of which {} "
                  "are in use; delete some.",
                  file.bytes, limits.project_bytes, used));
}

// The names of contents that must have a row by now. What cannot be read is left to a later purge.
std::set<std::string> old_contents(const std::filesystem::path& folder) {
  const auto young = std::filesystem::file_time_type::clock::now() - kLeftoverAge;
  std::set<std::string> names;
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::error_code gone;  // since the folder was read
    const std::string name = entry->path().filename().string();
    if (name.starts_with("file_") && entry->last_write_time(gone) <= young && !gone) names.insert(name);
  }
  return names;
}

[[noreturn]] void no_such_file(const std::string& id, const char* field = "file_id") {
  throw ApiError(404, "file_not_found", field, fmt::format("There is no file '{}' in this project.", id));
}

}  // namespace

ReplyJson file_json(const File& file) {
  ReplyJson json;
  json["id"] = file.id;
  json["object"] = "file";
  json["bytes"] = file.bytes;
  json["created_at"] = unix_seconds_of(file.created_at_ms);
  json["expires_at"] = unix_seconds_of(file.expires_at_ms);
  json["filename"] = file.filename;
  json["purpose"] = file.purpose;
  json["status"] = "processed";
  json["status_details"] = nullptr;
  return json;
}

FileStore::FileStore(database::Database& database, std::filesystem::path folder, const FileLimits& limits)
    : database_(database), folder_(std::move(folder)), limits_(limits) {
  store::make_data_folder(folder_);
}

std::string FileStore::new_id() {
  return "file_" + new_ulid();
}

File FileStore::add(File file, Bytes content) {
  file.id = new_id();
  file.bytes = static_cast<int64_t>(content.size());
  store::write_file(content_path(file.id), content, store::Leftovers::Leave);
  try {
    database_.write([&](Transaction& transaction) {
      require_room(transaction, file, limits_);
      insert(transaction, file);
    });
  } catch (const ApiError&) {
    discard_content(file.id);
    throw;
  }  // after any other error nobody knows whether the row is there: purge will
  return file;
}

void FileStore::insert(Transaction& transaction, const File& file) {
  transaction.execute(fmt::format("INSERT INTO files ({}) VALUES ($1, $2, $3, $4, $5, $6, $7)", kColumns),
                      {file.id, file.project_id, file.purpose, file.filename, file.bytes, file.created_at_ms,
                       file.expires_at_ms});
}

File FileStore::find(const std::string& project_id, const std::string& id) const {
  return database_.read([&](Transaction& transaction) { return find(transaction, project_id, id); });
}

File FileStore::find(Transaction& transaction, const std::string& project_id, const std::string& id,
                     const char* field) {
  const auto found = transaction.execute(
      fmt::format("SELECT {} FROM files WHERE id = $1 AND project_id = $2", kColumns), {id, project_id});
  if (found.rows.empty()) no_such_file(id, field);
  return file_of(found.rows.front());
}

PageOf<File> FileStore::list(const std::string& project_id, const std::optional<std::string>& purpose,
                             const Page& page) const {
  database::Values values = {project_id};
  std::string sql = fmt::format("SELECT {} FROM files WHERE project_id = $1", kColumns);
  if (purpose) {
    values.emplace_back(*purpose);
    sql += " AND purpose = $2";
  }
  if (page.after) values.emplace_back(*page.after);
  sql += page_sql(page, values.size());
  const auto found =
      database_.read([&](Transaction& transaction) { return transaction.execute(sql, values); });
  return page_of<File>(found.rows, page, file_of);
}

void FileStore::remove(const std::string& project_id, const std::string& id) {
  database_.write([&](Transaction& transaction) {
    const auto found = transaction.execute(
        fmt::format("SELECT CASE WHEN {} THEN 1 ELSE 0 END FROM files WHERE id = $1 AND project_id = $2",
                    in_use()),
        {id, project_id});
    if (found.rows.empty()) no_such_file(id);
    if (found.rows.front().integer(0) != 0) {
      throw ApiError(409, "file_in_use", "file_id",
                     fmt::format("The file '{}' is the input of a batch that has not ended; cancel the batch "
                                 "or wait for its end.",
                                 id));
    }
    transaction.execute("DELETE FROM files WHERE id = $1", {id});
  });
  discard_content(id);
}

void FileStore::discard_content(const std::string& id) const noexcept {
  std::error_code ignored;  // what stays is removed by a later purge
  std::filesystem::remove(content_path(id), ignored);
}

void FileStore::purge(int64_t now_ms) {
  while (true) {
    const auto removed = database_.execute(
        fmt::format(
            "DELETE FROM files WHERE id IN (SELECT id FROM files WHERE expires_at_ms <= $1 AND NOT {} "
            "LIMIT {}) RETURNING id",
            in_use(), kLargestPurge),
        {now_ms});
    for (const Row& row : removed.rows) discard_content(row.text(0));
    if (removed.rows.size() < kLargestPurge) break;
  }
  remove_leftovers();
}

void FileStore::remove_leftovers() {
  store::remove_stale_temporaries(folder_);
  std::set<std::string> old = old_contents(folder_);
  std::string last;
  while (!old.empty()) {
    const auto known = database_.execute(
        fmt::format("SELECT id FROM files WHERE id > $1 ORDER BY id LIMIT {}", kLargestPurge), {last});
    for (const Row& row : known.rows) old.erase(row.text(0));
    if (known.rows.size() < kLargestPurge) break;
    last = known.rows.back().text(0);
  }
  for (const std::string& id : old) discard_content(id);
}

}  // namespace lockstep::server
