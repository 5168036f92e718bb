#include "store/data_folder.h"

#include <sys/stat.h>

#include <cstdlib>

#include "base/error.h"

namespace lockstep::store {

std::filesystem::path default_data_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  if (const auto folder = variable("LOCKSTEP_DATA"); !folder.empty()) return folder;
  if (const auto folder = variable("XDG_DATA_HOME"); folder.is_absolute()) return folder / "lockstep";
  if (const auto home = variable("HOME"); !home.empty()) return home / ".local" / "share" / "lockstep";
  user_error("there is no place for the server's data: say --data-dir, or set $LOCKSTEP_DATA or $HOME");
}

void make_data_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), error);
  if (!error && ::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    error = std::error_code(errno, std::generic_category());
  }
  if (!error && !std::filesystem::is_directory(folder, error) && !error) {
    error = std::make_error_code(std::errc::not_a_directory);
  }
  if (error)
    user_error("{}: the folder for the server's data can not be made: {}", folder.string(), error.message());
}

}  // namespace lockstep::store
