// /v1/batches: make, list, look up, cancel.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "database/database.h"
#include "server/router.h"

namespace lockstep::server {

// The endpoints that a batch's lines may name, of those that the router has.
std::vector<std::string> batch_endpoints(const Router& router);

// `database` must outlive the router. `changed`: there is something to do for a batch.
void add_batch_endpoints(Router& router, database::Database& database, std::function<void()> changed);

}  // namespace lockstep::server
