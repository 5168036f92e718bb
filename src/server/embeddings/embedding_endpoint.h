// POST /v1/embeddings.
#pragma once

#include "server/inference.h"
#include "server/router.h"

namespace lockstep::server {

// `inference` must outlive the router.
void add_embedding_endpoint(Router& router, Inference& inference);

}  // namespace lockstep::server
