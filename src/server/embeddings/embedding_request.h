// The body of a request for embeddings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/prompt_fields.h"

namespace lockstep::server {

struct EmbeddingRequest {
  std::string model;
  std::vector<Prompt> inputs;
  bool base64 = false;  // vectors as base64 of their binary32 numbers, the lowest byte first
};

// Every field is honoured or refused by name. Throws an ApiError that says which and what would be right.
EmbeddingRequest parse_embedding_request(std::string_view body);

}  // namespace lockstep::server
