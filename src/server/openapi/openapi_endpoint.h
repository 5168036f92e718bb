// GET /openapi.json.
#pragma once

#include "server/router.h"
#include "server/served_model.h"

namespace lockstep::server {

void add_openapi_endpoint(Router& router, const ServedModel& model);

}  // namespace lockstep::server
