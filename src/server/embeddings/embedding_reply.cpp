#include "server/embeddings/embedding_reply.h"

#include <sodium.h>

#include <bit>

#include "server/answers_reply.h"

namespace lockstep::server {

namespace {

class EmbeddingReply : public WholeAnswersReply {
 public:
  EmbeddingReply(const EmbeddingRequest& request, std::unique_ptr<Answers> answers)
      : WholeAnswersReply(std::move(answers)), model_(request.model), base64_(request.base64) {}

 private:
  ReplyJson whole() override {
    ReplyJson json;
    json["object"] = "list";
    json["data"] = ReplyJson::array();
    for (const Answer& answer : answers().list()) {
      const std::vector<float>& embedding = answer.last->embedding;
      ReplyJson item;
      item["object"] = "embedding";
      item["index"] = json["data"].size();
      item["embedding"] = base64_ ? ReplyJson(base64_of_floats(embedding)) : ReplyJson(embedding);
      json["data"].push_back(std::move(item));
    }
    json["model"] = model_;
    const uint32_t tokens = answers().usage().prompt_tokens;
    json["usage"] = {{"prompt_tokens", tokens}, {"total_tokens", tokens}};
    return json;
  }

  const std::string model_;
  const bool base64_;
};

}  // namespace

std::unique_ptr<http::Reply> make_embedding_reply(const EmbeddingRequest& request,
                                                  std::unique_ptr<Answers> answers) {
  return std::make_unique<EmbeddingReply>(request, std::move(answers));
}

std::string base64_of_floats(std::span<const float> numbers) {
  static_assert(std::endian::native == std::endian::little);
  const auto bytes = std::as_bytes(numbers);
  std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // its zero
  return text;
}

}  // namespace lockstep::server
