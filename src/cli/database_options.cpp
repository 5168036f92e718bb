#include "cli/database_options.h"

#include "accounts/schema.h"
#include "base/error.h"
#include "store/data_folder.h"

namespace lockstep::cli {

void DatabaseOptions::add(CLI::App& command) {
  command.add_option("--data-dir", data_folder,
                     "folder of the database and of clients' files (default: $LOCKSTEP_DATA, or "
                     "~/.local/share/lockstep)");
  command.add_option(
      "--db", database,
      "postgresql://USER:PASSWORD@HOST:PORT/NAME, or a file (default: lockstep.db in the data folder)");
}

std::filesystem::path DatabaseOptions::folder_path() const {
  return data_folder.empty() ? store::default_data_folder() : std::filesystem::path(data_folder);
}

std::string DatabaseOptions::place() const {
  return database.empty() ? (folder_path() / "lockstep.db").string() : database;
}

std::filesystem::path DatabaseOptions::folder() const {
  const std::filesystem::path path = folder_path();
  store::make_data_folder(path);
  return path;
}

std::unique_ptr<database::Database> DatabaseOptions::open() const {
  if (database.empty()) folder();
  auto opened = std::make_unique<database::Database>(place());
  database::migrate(*opened, accounts::schema());
  return opened;
}

std::unique_ptr<database::Database> DatabaseOptions::open_existing() const {
  const std::string file = database::sqlite_path(place());
  std::error_code error;
  if (!file.empty() && !std::filesystem::exists(file, error)) {
    user_error(
        "{}: there is no database of accounts here; 'lockstep serve' or 'lockstep accounts organisation add' "
        "makes one",
        file);
  }
  return open();
}

}  // namespace lockstep::cli
