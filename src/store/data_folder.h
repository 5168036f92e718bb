// The folder of what a server must keep: its database and its clients' files.
#pragma once

#include <filesystem>

namespace lockstep::store {

// $LOCKSTEP_DATA, or lockstep/ in $XDG_DATA_HOME, or ~/.local/share/lockstep. Throws a user's error where
// none of the three variables is set.
std::filesystem::path default_data_folder();

// Makes the folder, for its owner alone, if it is not there. Throws a user's error where that is not
// possible.
void make_data_folder(const std::filesystem::path& folder);

}  // namespace lockstep::store
