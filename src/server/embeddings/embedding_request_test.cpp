#include "server/embeddings/embedding_request.h"

#include <gtest/gtest.h>

#include "server/embeddings/embedding_reply.h"
#include "server/request_test.h"

namespace lockstep::server {
namespace {

EmbeddingRequest parse(const std::string& fields) {
  return parse_embedding_request(R"({"model":"m",)" + fields + "}");
}
std::string refusal(const std::string& fields) {
  return refusal_by(parse_embedding_request, R"({"model":"m",)" + fields + "}");
}

TEST(EmbeddingRequest, EveryFieldArrives) {
  const EmbeddingRequest request = parse(R"("input":["a","b"],"encoding_format":"base64","user":"u")");
  EXPECT_EQ((std::vector<Prompt>{"a", "b"}), request.inputs);
  EXPECT_TRUE(request.base64);
  EXPECT_FALSE(parse(R"("input":[1,2],"encoding_format":"float","dimensions":null)").base64);
}

TEST(EmbeddingRequest, ErrorsNameTheField) {
  EXPECT_EQ("'input' : property 'input' is missing", refusal(R"("user":"u")"));
  EXPECT_EQ("'encoding_format' : value must be 'float' or 'base64'",
            refusal(R"("input":"a","encoding_format":"int8")"));
  EXPECT_EQ("'dimensions' : vectors have the size that the model gives them; leave it out",
            refusal(R"("input":"a","dimensions":3)"));
  EXPECT_EQ("property 'prompt' is unsupported", refusal(R"("input":"a","prompt":"b")"));
}

TEST(EmbeddingReply, Base64OfFloatsIsOfTheirBytesTheLowestFirst) {
  EXPECT_EQ("AACAPwAAAMA=", base64_of_floats(std::vector<float>{1, -2}));
  EXPECT_EQ("", base64_of_floats({}));
}

}  // namespace
}  // namespace lockstep::server
