// GET /v1/models and /v1/models/ID.
#pragma once

#include "server/inference.h"
#include "server/router.h"

namespace lockstep::server {

// `inference` must outlive the router.
void add_model_endpoints(Router& router, const Inference& inference);

}  // namespace lockstep::server
