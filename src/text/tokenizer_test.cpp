#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/error.h"
#include "text/test_vocabularies.h"

namespace lockstep::text {
namespace {

using Ids = std::vector<int32_t>;

// 256 "ab", 257 <|begin|>, 258 <|im_end|>, 259 <user>, 260 <user>!, 261 <|unknown|>.
Vocabulary bpe_with_specials() {
  Vocabulary vocabulary = make_bpe_vocabulary("gpt-2", {"a b"});
  vocabulary.bos_id = add_token(vocabulary, "<|begin|>", TokenType::Control);
  add_token(vocabulary, "<|im_end|>", TokenType::Control);
  add_token(vocabulary, "<user>", TokenType::UserDefined);
  add_token(vocabulary, "<user>!", TokenType::UserDefined);
  vocabulary.unknown_id = add_token(vocabulary, "<|unknown|>", TokenType::Unknown);
  return vocabulary;
}

TEST(Tokenizer, SpecialTokensAreParsedOrPlain) {
  const Tokenizer tokenizer(bpe_with_specials());
  EXPECT_EQ(tokenizer.encode("ab<|im_end|>ab<|unknown|>", SpecialTokens::Parse), (Ids{256, 258, 256, 261}));
  const Ids plain = tokenizer.encode("<|im_end|>ab<user>!", SpecialTokens::Plain);
  EXPECT_EQ(plain, (Ids{'<', '|', 'i', 'm', '_', 'e', 'n', 'd', '|', '>', 256, 260}));
  EXPECT_EQ(tokenizer.encode("<user> <user", SpecialTokens::Parse), (Ids{259, ' ', '<', 'u', 's', 'e', 'r'}));
}

TEST(Tokenizer, MarksAreAddedAsTheModelAsks) {
  Vocabulary vocabulary = bpe_with_specials();
  EXPECT_EQ(Tokenizer(vocabulary).encode("ab", SpecialTokens::Plain, SequenceMarks::AsModelAsks), Ids{256});
  vocabulary.add_bos = vocabulary.add_eos = true;
  vocabulary.eos_id = 258;
  const Tokenizer tokenizer(vocabulary);
  EXPECT_EQ(tokenizer.encode("ab", SpecialTokens::Plain, SequenceMarks::AsModelAsks), (Ids{257, 256, 258}));
  EXPECT_EQ(tokenizer.encode("", SpecialTokens::Plain, SequenceMarks::AsModelAsks), (Ids{257, 258}));
  EXPECT_EQ(tokenizer.encode("ab", SpecialTokens::Plain), Ids{256});
  vocabulary.bos_id.reset();
  EXPECT_EQ(Tokenizer(vocabulary).encode("", SpecialTokens::Plain, SequenceMarks::AsModelAsks), Ids{258});
}

TEST(Tokenizer, DecodingShowsControlTokensOnRequest) {
  const Tokenizer tokenizer(bpe_with_specials());
  const Ids ids = {257, 256, 259, 258, 261};
  EXPECT_EQ(tokenizer.decode(ids), "ab<user>");
  EXPECT_EQ(tokenizer.decode(ids, {.show_control = true}), "<|begin|>ab<user><|im_end|><|unknown|>");
}

TEST(Tokenizer, SpmSpacePrefixGoesInAndOut) {
  Vocabulary vocabulary = make_spm_vocabulary({"▁a", "▁", "a"});
  const Tokenizer tokenizer(vocabulary);
  const int32_t word = 259;
  const int32_t space = 260;
  EXPECT_EQ(tokenizer.encode("a", SpecialTokens::Parse), Ids{word});
  EXPECT_EQ(tokenizer.encode(" a", SpecialTokens::Parse), (Ids{space, word}));
  EXPECT_EQ(tokenizer.encode("<s>a</s>", SpecialTokens::Parse), (Ids{1, word, 2}));
  EXPECT_EQ(tokenizer.decode(Ids{word, word}), "a a");
  EXPECT_EQ(tokenizer.decode(Ids{1, word}), "a");
  EXPECT_EQ(tokenizer.decode(Ids{1, word}, {.show_control = true}), "<s> a");
  EXPECT_EQ(tokenizer.decode(Ids{word, word}, {.continues = true}), " a a");
  vocabulary.add_space_prefix = false;
  EXPECT_EQ(Tokenizer(vocabulary).decode(Ids{word}), " a");
}

TEST(Tokenizer, EndOfGeneration) {
  Vocabulary vocabulary = bpe_with_specials();
  EXPECT_TRUE(Tokenizer(vocabulary).is_end_of_generation(258));
  EXPECT_FALSE(Tokenizer(vocabulary).is_end_of_generation(257));
  vocabulary.types[258] = TokenType::Normal;  // the name alone is not enough
  EXPECT_FALSE(Tokenizer(vocabulary).is_end_of_generation(258));
  vocabulary.eot_id = 259;
  vocabulary.eos_id = 5;
  const Tokenizer tokenizer(vocabulary);
  const auto ends = tokenizer.end_of_generation_ids();
  EXPECT_EQ(Ids(ends.begin(), ends.end()), (Ids{5, 259}));
  EXPECT_FALSE(tokenizer.is_end_of_generation(-1));
  EXPECT_FALSE(tokenizer.is_end_of_generation(1 << 30));
}

TEST(Tokenizer, FindsSpecialTokensByTheirWholeSpelling) {
  const Tokenizer tokenizer(bpe_with_specials());
  EXPECT_EQ(tokenizer.find_special("<user>"), 259);
  EXPECT_EQ(tokenizer.find_special("<user>!"), 260);
  EXPECT_EQ(tokenizer.find_special("<user>?"), std::nullopt);
  EXPECT_EQ(tokenizer.find_special(" <user>"), std::nullopt);
  EXPECT_EQ(tokenizer.find_special("ab"), std::nullopt);
  EXPECT_EQ(tokenizer.find_special(""), std::nullopt);
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreUserErrors) {
  const Tokenizer tokenizer(bpe_with_specials());
  for (const int32_t id : {-1, 262, INT32_MAX, INT32_MIN}) {
    try {
      tokenizer.decode(Ids{id});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::User);
      EXPECT_NE(std::string(error.what()).find("outside the vocabulary of 262 tokens"), std::string::npos);
    }
    EXPECT_THROW(tokenizer.token_bytes(id), Error);
  }
}

TEST(Tokenizer, MovesAndServesManyThreads) {
  Tokenizer first(bpe_with_specials());
  const std::string text = "ab cab <|im_end|> 12";
  const Ids expected = first.encode(text, SpecialTokens::Parse);
  const Tokenizer tokenizer = std::move(first);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round)
        EXPECT_EQ(tokenizer.encode(text, SpecialTokens::Parse), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Merges that make runs of `unit` ever longer, so that a long run keeps the merging busy.
std::vector<std::string> doubling_merges(const std::string& unit) {
  std::vector<std::string> merges;
  std::string run = unit;
  for (int i = 0; i < 6; ++i) {
    merges.push_back(run + " " + run);
    run += run;
  }
  return merges;
}

// A megabyte of one character takes a second even on a slow machine under sanitizers; anything quadratic
// takes hours.
TEST(Tokenizer, LongRunsOfOneCharacterAreNotQuadratic) {
  std::vector<std::string> merges = doubling_merges("a");
  for (const char* unit : {"Ġ", "7"}) {
    for (const std::string& merge : doubling_merges(unit)) merges.push_back(merge);
  }
  std::vector<std::string> pieces = {"a", "▁", "7"};
  for (const char* unit : {"aa", "▁▁", "77"}) {
    std::string piece = unit;
    for (int i = 0; i < 6; ++i, piece += piece) pieces.push_back(piece);
  }
  std::vector<Vocabulary> vocabularies = {make_spm_vocabulary(pieces)};
  for (const char* name : {"gpt-2", "llama-bpe"}) {
    vocabularies.push_back(make_bpe_vocabulary(name, merges));
  }
  for (const Vocabulary& vocabulary : vocabularies) {
    const Tokenizer tokenizer(vocabulary);
    for (const std::string& unit :
         {std::string("a"), std::string(" "), std::string("7"), std::string("\u0301"), std::string("\n"),
          std::string("\xFF"), std::string("<")}) {
      std::string text;
      while (text.size() < 1000000) text += unit;
      const auto start = std::chrono::steady_clock::now();
      const Ids ids = tokenizer.encode(text, SpecialTokens::Parse);
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
      EXPECT_LT(elapsed.count(), 20) << vocabulary.pre_tokenizer << " " << unit;
      std::string bytes;
      for (const int32_t id : ids) bytes += tokenizer.token_bytes(id);
      EXPECT_EQ(bytes.size(), text.size() + (vocabulary.kind == TokenizerKind::Spm ? 1 : 0));
    }
  }
}

}  // namespace
}  // namespace lockstep::text
