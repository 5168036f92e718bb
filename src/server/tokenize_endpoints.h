// POST /v1/tokenize and /v1/detokenize, also as /tokenize and /detokenize.
#pragma once

#include "server/inference.h"
#include "server/router.h"

namespace lockstep::server {

// Tokenizing takes vLLM's "prompt" or "messages", or llama.cpp's "content", and answers as they do.
// `inference` must outlive the router.
void add_tokenize_endpoints(Router& router, const Inference& inference);

}  // namespace lockstep::server
