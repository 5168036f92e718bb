// Ollama's API, as far as its clients need it to use a model: /api/chat, /api/generate, /api/embed,
// /api/tags, /api/show, /api/ps, /api/version.
#pragma once

#include "server/inference.h"
#include "server/router.h"

namespace lockstep::server {

// `inference` must outlive the router.
void add_ollama_endpoints(Router& router, Inference& inference);

}  // namespace lockstep::server
