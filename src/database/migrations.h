// The versions of a database's tables, and the steps from each to the next.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "database/database.h"

namespace lockstep::database {

// One step. What has been released is never changed; a new step is added instead.
struct Migration {
  int64_t version;  // 1, 2, 3, ...
  std::string name;
  std::vector<std::string> statements;  // SQL that both databases understand, without parameters
};

// Brings the tables to the version of the last of `migrations`, whose versions count from 1. Each step is
// made in one transaction with its entry in the table `migrations`: wholly or not at all, and once, also when
// several servers start together. Gives the number of steps made. A database newer than the last step
// is a user's error that says so.
int64_t migrate(Database& database, const std::vector<Migration>& migrations);

}  // namespace lockstep::database
