#include "cli/database_options.h"

#include "accounts/schema.h"
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

std::filesystem::path DatabaseOptions::folder() const {
  std::filesystem::path path =
      data_folder.empty() ? store::default_data_folder() : std::filesystem::path(data_folder);
  store::make_data_folder(path);
  return path;
}

std::unique_ptr<database::Database> DatabaseOptions::open() const {
  const std::string place = database.empty() ? (folder() / "lockstep.db").string() : database;
  auto opened = std::make_unique<database::Database>(place);
  database::migrate(*opened, accounts::schema());
  return opened;
}

}  // namespace lockstep::cli
