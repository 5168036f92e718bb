#include "text/vocabulary.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "text/test_vocabularies.h"

namespace lockstep::text {
namespace {

Vocabulary full_bpe() {
  Vocabulary vocabulary = make_bpe_vocabulary("smollm", {"a b", "Ġ ab"});
  vocabulary.eos_id = add_token(vocabulary, "<|im_end|>", TokenType::Control);
  vocabulary.bos_id = 3;
  vocabulary.padding_id = 0;
  vocabulary.add_bos = true;
  return vocabulary;
}

void expect_user_error(const std::function<void()>& action, const std::string& part) {
  try {
    action();
    ADD_FAILURE() << "no error; expected one with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(Vocabulary, SurvivesEncoding) {
  for (const Vocabulary& vocabulary : {full_bpe(), make_spm_vocabulary({"▁a", "b"})}) {
    EXPECT_EQ(decode_vocabulary(encode_vocabulary(vocabulary), "test"), vocabulary);
  }
}

TEST(Vocabulary, EveryTruncationIsAUserError) {
  for (const Vocabulary& vocabulary : {full_bpe(), make_spm_vocabulary({"▁a", "b"})}) {
    const std::vector<std::byte> bytes = encode_vocabulary(vocabulary);
    for (size_t size = 0; size < bytes.size(); ++size) {
      expect_user_error([&] { decode_vocabulary(Bytes(bytes).first(size), "asset"); }, "asset");
    }
  }
}

TEST(Vocabulary, BytesAfterTheEndAreAUserError) {
  std::vector<std::byte> bytes = encode_vocabulary(full_bpe());
  bytes.push_back(std::byte{0});
  expect_user_error([&] { decode_vocabulary(bytes, "asset"); }, "1 bytes after the end");
}

// No byte may make decoding fail in another way than by a user's error, or give a vocabulary that encodes
// to other bytes.
TEST(Vocabulary, EveryChangedByteIsRefusedOrKept) {
  std::vector<std::byte> bytes = encode_vocabulary(make_spm_vocabulary({"▁a", "b"}, false));
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const auto change : {std::byte{1}, std::byte{0x80}, std::byte{0xFF}}) {
      bytes[i] ^= change;
      try {
        EXPECT_EQ(encode_vocabulary(decode_vocabulary(bytes, "asset")), bytes);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::User);
      }
      bytes[i] ^= change;
    }
  }
}

TEST(Vocabulary, ChecksNameWhatIsWrong) {
  const auto refuses = [](const std::function<void(Vocabulary&)>& spoil, const std::string& part) {
    Vocabulary vocabulary = make_spm_vocabulary({"a", "b"});
    spoil(vocabulary);
    expect_user_error([&] { check_vocabulary(vocabulary, "x.gguf"); }, "x.gguf: " + part);
    expect_user_error([&] { decode_vocabulary(encode_vocabulary(vocabulary), "x.gguf"); }, "x.gguf: " + part);
  };
  refuses([](Vocabulary& v) { v.tokens.clear(); }, "0 tokens");
  refuses([](Vocabulary& v) { v.types.pop_back(); }, "260 token types for 261 tokens");
  refuses([](Vocabulary& v) { v.types[5] = static_cast<TokenType>(7); }, "token 5 has type 7");
  refuses([](Vocabulary& v) { v.types[0] = static_cast<TokenType>(0); }, "token 0 has type 0");
  refuses([](Vocabulary& v) { v.scores.pop_back(); }, "260 token scores where 261 are wanted");
  refuses([](Vocabulary& v) { v.scores[1] = std::numeric_limits<float>::quiet_NaN(); },
          "the score of token 1");
  refuses([](Vocabulary& v) { v.merges = {"a b"}; }, "1 merges in a SentencePiece vocabulary");
  refuses([](Vocabulary& v) { v.eos_id = 261; }, "the end-of-sequence id 261 is outside");
  refuses([](Vocabulary& v) { v.padding_id = -2; }, "the padding id -2 is outside");
  refuses([](Vocabulary& v) { v.kind = static_cast<TokenizerKind>(9); }, "tokenizer kind 9");
}

}  // namespace
}  // namespace lockstep::text
