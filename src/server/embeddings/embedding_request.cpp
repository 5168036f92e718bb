#include "server/embeddings/embedding_request.h"

#include "server/api_error.h"
#include "server/json_fields.h"

namespace lockstep::server {

namespace {

void read_fields(JsonFields& fields, EmbeddingRequest& request) {
  request.model = fields.required_text("model");
  request.inputs = read_prompts(fields, "input", kInputsMax);
  const std::string format = fields.text("encoding_format").value_or("float");
  if (format != "float" && format != "base64") {
    bad_field("encoding_format", "value must be 'float' or 'base64'");
  }
  request.base64 = format == "base64";
  fields.refuse("dimensions", "vectors have the size that the model gives them; leave it out");
  fields.text("user");  // of whom nothing is kept
}

}  // namespace

EmbeddingRequest parse_embedding_request(std::string_view body) {
  return read_body<EmbeddingRequest>(body, read_fields);
}

}  // namespace lockstep::server
