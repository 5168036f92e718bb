// Where a server's database is: for the commands that use it.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "database/database.h"

namespace lockstep::cli {

// --data-dir, --db.
struct DatabaseOptions {
  std::string data_folder;  // empty: store::default_data_folder()
  std::string database;     // empty: a file in the data folder

  void add(CLI::App& command);
  // The data folder, which is made if it is not there.
  std::filesystem::path folder() const;
  // The database with its tables as this program has them. It is made, with its folder, if it is not there.
  std::unique_ptr<database::Database> open() const;
  // The same, but a user's error where there is none.
  std::unique_ptr<database::Database> open_existing() const;

 private:
  std::filesystem::path folder_path() const;
  std::string place() const;
};

}  // namespace lockstep::cli
