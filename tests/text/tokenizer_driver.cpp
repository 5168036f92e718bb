// Encodes strings for tokenizer_compare.py:
//   tokenizer_driver VOCABULARY parse|plain < strings > answers
//   tokenizer_driver VOCABULARY decode < sequences > strings
//   tokenizer_driver VOCABULARY words < strings > answers
//   tokenizer_driver VOCABULARY time FILE
// VOCABULARY is what encode_vocabulary() writes. A string is a 32-bit length and its bytes; the answer to it
// is a 32-bit count, that many 32-bit ids, and the string that the ids decode to. `decode` takes sequences,
// which are a 32-bit length in bytes and ids. `words` answers with a 32-bit count and the 32-bit lengths in
// bytes of the words that the pre-tokenizer cuts. `time` prints how long loading and encoding FILE take.
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"

namespace {

using namespace lockstep;
// Milliseconds of processor time, which other programs on the machine do not disturb.
double milliseconds() {
  return static_cast<double>(std::clock()) * 1e3 / CLOCKS_PER_SEC;
}

bool read_block(std::string& block) {
  uint32_t size = 0;
  if (std::fread(&size, sizeof size, 1, stdin) != 1) return false;
  block.resize(size);
  if (std::fread(block.data(), 1, size, stdin) != size) user_error("standard input ends inside a string");
  return true;
}

void write_block(uint32_t count, const void* data, size_t bytes) {
  std::fwrite(&count, sizeof count, 1, stdout);
  std::fwrite(data, 1, bytes, stdout);
}

void encode_all(const text::Tokenizer& tokenizer, text::SpecialTokens special) {
  std::string string;
  while (read_block(string)) {
    const auto ids = tokenizer.encode(string, special, text::SequenceMarks::AsModelAsks);
    write_block(static_cast<uint32_t>(ids.size()), ids.data(), ids.size() * sizeof(int32_t));
    const std::string decoded = tokenizer.decode(ids);
    write_block(static_cast<uint32_t>(decoded.size()), decoded.data(), decoded.size());
  }
}

void decode_all(const text::Tokenizer& tokenizer) {
  std::string block;
  while (read_block(block)) {
    std::vector<int32_t> ids(block.size() / sizeof(int32_t));
    std::memcpy(ids.data(), block.data(), ids.size() * sizeof(int32_t));
    const std::string decoded = tokenizer.decode(ids);
    write_block(static_cast<uint32_t>(decoded.size()), decoded.data(), decoded.size());
  }
}

void cut_all(const text::PreTokenizer& pre_tokenizer) {
  std::string string;
  std::vector<std::string_view> words;
  std::vector<uint32_t> lengths;
  while (read_block(string)) {
    words.clear();
    lengths.clear();
    pre_tokenizer.split(string, words);
    for (const std::string_view word : words) lengths.push_back(static_cast<uint32_t>(word.size()));
    write_block(static_cast<uint32_t>(lengths.size()), lengths.data(), lengths.size() * sizeof(uint32_t));
  }
}

void measure(const char* vocabulary_path, const char* text_path) {
  const auto start = milliseconds();
  const MappedFile file(vocabulary_path);
  text::Vocabulary vocabulary = text::decode_vocabulary(file.bytes(), vocabulary_path);
  const auto decoded = milliseconds();
  const text::Tokenizer tokenizer(std::move(vocabulary));
  const auto built = milliseconds();
  const std::string content = read_text_file(text_path);
  const auto read = milliseconds();
  const auto ids = tokenizer.encode(content, text::SpecialTokens::Plain);
  const auto encoded = milliseconds();
  const std::string back = tokenizer.decode(ids);
  const auto done = milliseconds();
  fmt::print("vocabulary {:.1f} ms, tokenizer {:.1f} ms, encode {:.1f} MB/s ({} ids), decode {:.1f} MB/s\n",
             (decoded - start), (built - decoded), content.size() / 1e3 / (encoded - read), ids.size(),
             back.size() / 1e3 / (done - encoded));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string mode = argc > 2 ? argv[2] : "";
    if (mode == "time" && argc == 4) {
      measure(argv[1], argv[3]);
      return 0;
    }
    if (argc != 3 || (mode != "parse" && mode != "plain" && mode != "decode" && mode != "words")) {
      user_error(
          "usage: tokenizer_driver VOCABULARY parse|plain|decode|words, or tokenizer_driver VOCABULARY time "
          "FILE");
    }
    const MappedFile file(argv[1]);
    const text::Tokenizer tokenizer(text::decode_vocabulary(file.bytes(), argv[1]));
    if (mode == "words") {
      cut_all(text::PreTokenizer(tokenizer.vocabulary().pre_tokenizer));
    } else if (mode == "decode") {
      decode_all(tokenizer);
    } else {
      encode_all(tokenizer, mode == "parse" ? text::SpecialTokens::Parse : text::SpecialTokens::Plain);
    }
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "tokenizer_driver: {}\n", error.what());
    return error.exit_code();
  }
}
