// Clients' files: what is known of them in the database, their contents in a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "database/database.h"
#include "server/files/file.h"
#include "server/paging.h"
#include "store/atomic_file.h"

namespace lockstep::server {

struct FileLimits {
  int64_t project_bytes = 20'000'000'000;  // of all files of a project together
};

// A file is there when its row is: its contents reach the disk before the row is committed and go after it. A
// crash between the two leaves contents without a row, which purge removes. Contents are called by the
// file's id, which the server makes: nothing that a client sends is part of a path.
//
// Servers that share a database share the folder too. THREAD: any.
class FileStore {
 public:
  // `database` outlives this and has the tables of accounts::schema(). Makes the folder if it is not there.
  FileStore(database::Database& database, std::filesystem::path folder, const FileLimits& limits);

  // Stores a new file; `file` has all but its id and bytes. Throws an ApiError where the project has no room.
  File add(File file, Bytes content);
  // Of the project; throws an ApiError (404) if there is none, whose `param` is the field that has the id.
  File find(const std::string& project_id, const std::string& id) const;
  static File find(database::Transaction& transaction, const std::string& project_id, const std::string& id,
                   const char* field = "file_id");
  PageOf<File> list(const std::string& project_id, const std::optional<std::string>& purpose,
                    const Page& page) const;
  // Throws an ApiError: 404, or 409 for the input of a batch that has not ended.
  void remove(const std::string& project_id, const std::string& id);

  // Where the contents of a file are.
  std::filesystem::path content_path(const std::string& id) const { return folder_ / id; }
  // Contents without a row, for whoever then commits insert() in a transaction of its own or discards them.
  static std::string new_id();
  static void insert(database::Transaction& transaction, const File& file);
  void discard_content(const std::string& id) const noexcept;

  // Removes files that are kept no longer, and contents older than an hour without a row: younger ones may
  // be about to get theirs.
  void purge(int64_t now_ms);

 private:
  void remove_leftovers();

  database::Database& database_;
  const std::filesystem::path folder_;
  const FileLimits limits_;
};

}  // namespace lockstep::server
