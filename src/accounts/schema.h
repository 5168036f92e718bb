// All tables of a server's database.
#pragma once

#include <vector>

#include "database/migrations.h"

namespace lockstep::accounts {

// The steps that made the tables what they are, for database::migrate. Further tables are further steps at
// the end of the list in schema.cpp.
const std::vector<database::Migration>& schema();

}  // namespace lockstep::accounts
