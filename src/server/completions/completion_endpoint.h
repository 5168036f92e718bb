// POST /v1/completions.
#pragma once

#include "server/inference.h"
#include "server/router.h"

namespace lockstep::server {

// `inference` must outlive the router.
void add_completion_endpoint(Router& router, Inference& inference);

}  // namespace lockstep::server
