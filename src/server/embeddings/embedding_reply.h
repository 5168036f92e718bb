// The reply to a request for embeddings.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "server/answers.h"
#include "server/embeddings/embedding_request.h"

namespace lockstep::server {

std::unique_ptr<http::Reply> make_embedding_reply(const EmbeddingRequest& request,
                                                  std::unique_ptr<Answers> answers);

// Base64 of the numbers as binary32, the lowest byte first.
std::string base64_of_floats(std::span<const float> numbers);

}  // namespace lockstep::server
