// POST /v1/responses.
#pragma once

#include "server/inference.h"
#include "server/router.h"

namespace lockstep::server {

// `inference` must outlive the router.
void add_response_endpoint(Router& router, Inference& inference);

}  // namespace lockstep::server
