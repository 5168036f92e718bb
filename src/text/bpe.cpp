#include "text/bpe.h"

#include "base/error.h"
#include "text/merge_symbols.h"
#include "text/utf8.h"

namespace lockstep::text {
namespace {

constexpr bool spells_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<char32_t, 256> make_spelling() {
  std::array<char32_t, 256> spelling{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) spelling[byte] = spells_itself(byte) ? byte : next++;
  return spelling;
}
constexpr std::array<char32_t, 256> kSpelling = make_spelling();

constexpr int16_t kNoByte = -1;
constexpr std::array<int16_t, 324> make_bytes() {
  std::array<int16_t, 324> bytes{};
  bytes.fill(kNoByte);
  for (unsigned byte = 0; byte < 256; ++byte) bytes[kSpelling[byte]] = static_cast<int16_t>(byte);
  return bytes;
}
// The byte that a character spells; the last of the characters is U+0143.
constexpr std::array<int16_t, 324> kBytes = make_bytes();

}  // namespace

char32_t spelled_byte(uint8_t byte) {
  return kSpelling[byte];
}

struct ByteLevelBpe::Scratch {
  std::vector<std::string_view> words;
  std::vector<Symbol> symbols;
  MergeScratch merge;
  std::string spelling;
};

ByteLevelBpe::ByteLevelBpe(const Vocabulary& vocabulary)
    : vocabulary_(vocabulary),
      pre_tokenizer_(vocabulary.pre_tokenizer),
      index_(vocabulary.tokens),
      merges_(vocabulary.merges.size()) {
  const auto count = static_cast<int32_t>(vocabulary.tokens.size());
  for (int32_t id = 0; id < count; ++id) {
    if (vocabulary.types[id] == TokenType::Normal) index_.insert(id);
  }
  // An added token may also be the result of a merge.
  for (int32_t id = 0; id < count; ++id) {
    if (vocabulary.types[id] != TokenType::Normal) index_.insert(id);
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string spelling;
    append_utf8(spelling, kSpelling[byte]);
    byte_ids_[byte] = index_.find(spelling);
  }
  insert_merges();
}

void ByteLevelBpe::insert_merges() {
  std::string joined;
  for (size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
    const std::string_view merge = vocabulary_.merges[rank];
    // From the second character on, because a part is never empty and may be a space.
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      user_error("merge {} of the vocabulary is \"{}\"; a merge is two tokens with a space between", rank,
                 merge);
    }
    const std::string_view left = merge.substr(0, space);
    const std::string_view right = merge.substr(space + 1);
    joined.assign(left).append(right);
    const int32_t left_id = index_.find(left);
    const int32_t right_id = index_.find(right);
    const int32_t joined_id = index_.find(joined);
    if (left_id == kNoToken || right_id == kNoToken || joined_id == kNoToken) {
      user_error("merge {} of the vocabulary, \"{}\", names \"{}\", which is not among its tokens", rank,
                 merge,
                 left_id == kNoToken    ? left
                 : right_id == kNoToken ? right
                                        : std::string_view(joined));
    }
    merges_.insert(left_id, right_id, {static_cast<uint32_t>(rank), joined_id});
  }
}

void ByteLevelBpe::encode(std::string_view text, std::vector<int32_t>& ids) const {
  Scratch scratch;
  while (!text.empty()) {
    const size_t valid = find_invalid_utf8(text).value_or(text.size());
    encode_valid(text.substr(0, valid), scratch, ids);
    text.remove_prefix(valid);
    size_t invalid = 0;
    while (invalid < text.size()) {
      const Utf8Step step = decode_utf8(text, invalid);
      if (step.status == Utf8Status::Valid) break;
      invalid += step.length;
    }
    if (invalid > 0) encode_word(text.substr(0, invalid), scratch, ids);
    text.remove_prefix(invalid);
  }
}

void ByteLevelBpe::encode_valid(std::string_view text, Scratch& scratch, std::vector<int32_t>& ids) const {
  scratch.words.clear();
  pre_tokenizer_.split(text, scratch.words);
  for (const std::string_view word : scratch.words) encode_word(word, scratch, ids);
}

void ByteLevelBpe::encode_word(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (pre_tokenizer_.ignores_merges()) {
    scratch.spelling.clear();
    for (const char byte : word) append_utf8(scratch.spelling, kSpelling[static_cast<uint8_t>(byte)]);
    const int32_t id = index_.find(scratch.spelling);
    if (id != kNoToken && vocabulary_.types[id] == TokenType::Normal) {
      ids.push_back(id);
      return;
    }
  }
  scratch.symbols.clear();
  for (size_t i = 0; i < word.size(); ++i) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(word[i])];
    if (id != kNoToken) scratch.symbols.push_back({static_cast<uint32_t>(i), 1, id});
  }
  merge_symbols(
      scratch.symbols,
      [this](const Symbol& left, const Symbol& right) { return merges_.find(left.id, right.id); },
      scratch.merge);
  for (const Symbol& symbol : scratch.symbols) ids.push_back(symbol.id);
}

std::string ByteLevelBpe::token_bytes(int32_t id) const {
  const std::string& spelling = vocabulary_.tokens[id];
  std::string bytes;
  for (size_t offset = 0; offset < spelling.size();) {
    const Utf8Step step = decode_utf8(spelling, offset);
    const bool spelled = step.status == Utf8Status::Valid && step.code_point < kBytes.size() &&
                         kBytes[step.code_point] != kNoByte;
    if (spelled) {
      bytes += static_cast<char>(kBytes[step.code_point]);
    } else {  // not GPT-2's spelling: the characters stand for themselves
      bytes.append(spelling, offset, step.length);
    }
    offset += step.length;
  }
  return bytes;
}

}  // namespace lockstep::text
