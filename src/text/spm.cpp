#include "text/spm.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "base/error.h"
#include "text/merge_symbols.h"
#include "text/utf8.h"

namespace lockstep::text {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581

// Maps scores to ranks: the higher the score, the lower the rank.
uint32_t rank_of(float score) {
  const auto bits = std::bit_cast<uint32_t>(score == 0 ? 0.0f : score);  // -0 equals 0
  const uint32_t ascending = bits >> 31 ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

// The byte that "<0xHH>" spells, or -1.
int spelled_byte_value(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling[5] != '>') return -1;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(spelling.data() + 3, spelling.data() + 5, value, 16);
  return error == std::errc() && end == spelling.data() + 5 ? static_cast<int>(value) : -1;
}

// True when U+2581 follows another character in `token`.
bool has_inner_space(std::string_view token) {
  while (token.starts_with(kSpace)) token.remove_prefix(kSpace.size());
  return token.find(kSpace) != std::string_view::npos;
}

}  // namespace

struct SentencePieceBpe::Scratch {
  std::vector<Symbol> symbols;
  MergeScratch merge;
  bool after_unknown = false;  // the last id appended is an unknown token
};

SentencePieceBpe::SentencePieceBpe(const Vocabulary& vocabulary)
    : vocabulary_(vocabulary), index_(vocabulary.tokens) {
  byte_ids_.fill(kNoToken);
  const auto count = static_cast<int32_t>(vocabulary.tokens.size());
  for (int32_t id = 0; id < count; ++id) {
    const std::string& token = vocabulary.tokens[id];
    const TokenType type = vocabulary.types[id];
    if (type == TokenType::Byte) {
      const int byte = spelled_byte_value(token);
      if (byte < 0)
        user_error("byte token {} of the vocabulary is \"{}\"; it must be like <0x0A>", id, token);
      if (byte_ids_[byte] == kNoToken) byte_ids_[byte] = id;
    } else if (type == TokenType::Normal || type == TokenType::UserDefined) {
      index_.insert(id);
      longest_token_ = std::max(longest_token_, token.size());
      if (has_inner_space(token)) splits_at_spaces_ = false;
    }
  }
  const bool all_bytes = std::find(byte_ids_.begin(), byte_ids_.end(), kNoToken) == byte_ids_.end();
  if (!vocabulary.unknown_id && !all_bytes) {
    user_error(
        "the vocabulary has neither an unknown token nor all 256 byte tokens; SentencePiece needs one");
  }
}

std::string SentencePieceBpe::escape(std::string_view text) const {
  std::string escaped;
  escaped.reserve(text.size() + text.size() / 2 + kSpace.size());
  if (vocabulary_.add_space_prefix) escaped += kSpace;
  for (const char byte : text) {
    if (byte == ' ') {
      escaped += kSpace;
    } else {
      escaped += byte;
    }
  }
  return escaped;
}

void SentencePieceBpe::encode(std::string_view text, std::vector<int32_t>& ids) const {
  if (text.empty()) return;
  const std::string escaped = escape(text);
  Scratch scratch;
  std::string_view rest = escaped;
  while (!rest.empty()) {
    // No merge crosses the place where a space follows something else, so what is between is independent.
    size_t end = 0;
    while (rest.substr(end).starts_with(kSpace)) end += kSpace.size();
    end = splits_at_spaces_ ? std::min(rest.find(kSpace, end), rest.size()) : rest.size();
    encode_stretch(rest.substr(0, end), scratch, ids);
    rest.remove_prefix(end);
  }
}

void SentencePieceBpe::encode_stretch(std::string_view stretch, Scratch& scratch,
                                      std::vector<int32_t>& ids) const {
  scratch.symbols.clear();
  for (size_t offset = 0; offset < stretch.size();) {
    const Utf8Step step = decode_utf8(stretch, offset);
    const uint32_t length = step.status == Utf8Status::Valid ? step.length : 1;
    const int32_t id = index_.find(stretch.substr(offset, length));
    scratch.symbols.push_back({static_cast<uint32_t>(offset), length, id});
    offset += length;
  }
  const auto find_merge = [&](const Symbol& left, const Symbol& right) -> Merge {
    const size_t length = size_t{left.length} + right.length;
    if (length > longest_token_) return {};
    const int32_t id = index_.find(stretch.substr(left.begin, length));
    return id == kNoToken ? Merge{} : Merge{rank_of(vocabulary_.scores[id]), id};
  };
  merge_symbols(scratch.symbols, find_merge, scratch.merge);
  for (const Symbol& symbol : scratch.symbols) {
    if (symbol.id != kNoToken) {
      ids.push_back(symbol.id);
      scratch.after_unknown = false;
    } else {
      append_fallback(stretch.substr(symbol.begin, symbol.length), scratch, ids);
    }
  }
}

void SentencePieceBpe::append_fallback(std::string_view character, Scratch& scratch,
                                       std::vector<int32_t>& ids) const {
  const auto byte_id = [this](char byte) { return byte_ids_[static_cast<uint8_t>(byte)]; };
  const bool has_bytes =
      std::none_of(character.begin(), character.end(), [&](char byte) { return byte_id(byte) == kNoToken; });
  if (has_bytes) {
    for (const char byte : character) ids.push_back(byte_id(byte));
  } else if (!scratch.after_unknown) {
    ids.push_back(*vocabulary_.unknown_id);
  }
  scratch.after_unknown = !has_bytes;
}

std::string SentencePieceBpe::token_bytes(int32_t id) const {
  const std::string& token = vocabulary_.tokens[id];
  if (vocabulary_.types[id] == TokenType::Byte)
    return std::string(1, static_cast<char>(spelled_byte_value(token)));
  std::string bytes;
  for (size_t offset = 0; offset < token.size();) {
    if (std::string_view(token).substr(offset).starts_with(kSpace)) {
      bytes += ' ';
      offset += kSpace.size();
    } else {
      bytes += token[offset++];
    }
  }
  return bytes;
}

}  // namespace lockstep::text
