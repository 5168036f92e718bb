// The published description of the API, in OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.0
#pragma once

#include "server/json_reply.h"
#include "server/served_model.h"

namespace lockstep::server {

// All files of the folder in one document: their paths and their components by kind, each of which only one
// file may have. A model is one of the names that the server serves, a token one of its vocabulary.
ReplyJson openapi_document(const ServedModel& model);

}  // namespace lockstep::server
