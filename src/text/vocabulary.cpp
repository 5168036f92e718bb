#include "text/vocabulary.h"

#include <array>
#include <cmath>
#include <cstring>

namespace lockstep::text {
namespace {

// "LSVOCAB" and the version of the layout.
constexpr uint64_t kMagic = 0x01'42'41'43'4F'56'53'4Cull;

// The ids in the order in which they are stored, with the names that errors use.
struct NamedId {
  const char* name;
  std::optional<int32_t> Vocabulary::*id;
};
constexpr std::array<NamedId, 5> kIds = {{{"begin-of-sequence", &Vocabulary::bos_id},
                                          {"end-of-sequence", &Vocabulary::eos_id},
                                          {"end-of-turn", &Vocabulary::eot_id},
                                          {"unknown", &Vocabulary::unknown_id},
                                          {"padding", &Vocabulary::padding_id}}};
constexpr std::array<bool Vocabulary::*, 3> kFlags = {&Vocabulary::add_bos, &Vocabulary::add_eos,
                                                      &Vocabulary::add_space_prefix};
constexpr int32_t kNoId = -1;

void write_strings(ByteWriter& writer, const std::vector<std::string>& strings) {
  writer.write<uint64_t>(strings.size());
  for (const std::string& string : strings) {
    writer.write<uint32_t>(static_cast<uint32_t>(string.size()));
    writer.write_bytes(as_bytes(string));
  }
}

std::vector<std::string> read_strings(ByteReader& reader) {
  std::vector<std::string> strings(reader.read_count(sizeof(uint32_t)));
  for (std::string& string : strings) string = as_text(reader.take(reader.read<uint32_t>()));
  return strings;
}

template <class T>
void write_values(ByteWriter& writer, const std::vector<T>& values) {
  writer.write<uint64_t>(values.size());
  writer.write_bytes(std::as_bytes(std::span(values)));
}

template <class T>
std::vector<T> read_values(ByteReader& reader) {
  std::vector<T> values(reader.read_count(sizeof(T)));
  const Bytes bytes = reader.take(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

void check_types(const Vocabulary& vocabulary, const std::string& what) {
  for (size_t id = 0; id < vocabulary.types.size(); ++id) {
    const auto type = static_cast<unsigned>(vocabulary.types[id]);
    if (type < 1 || type > 6) user_error("{}: token {} has type {}; types are 1 to 6", what, id, type);
  }
}

}  // namespace

void check_vocabulary(const Vocabulary& vocabulary, const std::string& what) {
  const size_t count = vocabulary.tokens.size();
  if (vocabulary.kind != TokenizerKind::Bpe && vocabulary.kind != TokenizerKind::Spm) {
    user_error("{}: tokenizer kind {} is not known; 1 (byte-level BPE) and 2 (SentencePiece) are", what,
               static_cast<unsigned>(vocabulary.kind));
  }
  if (count == 0 || count > INT32_MAX)
    user_error("{}: {} tokens; 1 to {} are possible", what, count, INT32_MAX);
  if (vocabulary.types.size() != count) {
    user_error("{}: {} token types for {} tokens; every token needs one", what, vocabulary.types.size(),
               count);
  }
  check_types(vocabulary, what);
  const size_t scores_wanted = vocabulary.kind == TokenizerKind::Spm ? count : 0;
  if (vocabulary.scores.size() != scores_wanted) {
    user_error("{}: {} token scores where {} are wanted: one a token for SentencePiece, none for BPE", what,
               vocabulary.scores.size(), scores_wanted);
  }
  for (size_t id = 0; id < vocabulary.scores.size(); ++id) {
    if (!std::isfinite(vocabulary.scores[id]))
      user_error("{}: the score of token {} is not finite", what, id);
  }
  if (vocabulary.kind == TokenizerKind::Spm && !vocabulary.merges.empty()) {
    user_error("{}: {} merges in a SentencePiece vocabulary, which has scores instead", what,
               vocabulary.merges.size());
  }
  for (const NamedId& named : kIds) {
    const std::optional<int32_t> id = vocabulary.*named.id;
    if (id && (*id < 0 || static_cast<size_t>(*id) >= count)) {
      user_error("{}: the {} id {} is outside the vocabulary of {} tokens", what, named.name, *id, count);
    }
  }
}

std::vector<std::byte> encode_vocabulary(const Vocabulary& vocabulary) {
  ByteWriter writer;
  writer.write<uint64_t>(kMagic);
  writer.write<uint8_t>(static_cast<uint8_t>(vocabulary.kind));
  for (auto flag : kFlags) writer.write<uint8_t>(vocabulary.*flag ? 1 : 0);
  for (const NamedId& named : kIds) writer.write<int32_t>((vocabulary.*named.id).value_or(kNoId));
  writer.write_string(vocabulary.pre_tokenizer);
  write_strings(writer, vocabulary.tokens);
  write_values(writer, vocabulary.types);
  write_values(writer, vocabulary.scores);
  write_strings(writer, vocabulary.merges);
  return writer.take();
}

Vocabulary decode_vocabulary(Bytes bytes, const std::string& what) {
  ByteReader reader(bytes, what);
  if (reader.read<uint64_t>() != kMagic) user_error("{}: not a Lockstep vocabulary of version 1", what);
  Vocabulary vocabulary;
  vocabulary.kind = static_cast<TokenizerKind>(reader.read<uint8_t>());
  for (auto flag : kFlags) {
    const auto value = reader.read<uint8_t>();
    if (value > 1)
      user_error("{}: damaged at byte {}: flag {} is not 0 or 1", what, reader.offset() - 1, value);
    vocabulary.*flag = value == 1;
  }
  for (const NamedId& named : kIds) {
    const auto id = reader.read<int32_t>();
    if (id != kNoId) vocabulary.*named.id = id;
  }
  vocabulary.pre_tokenizer = reader.read_string();
  vocabulary.tokens = read_strings(reader);
  vocabulary.types = read_values<TokenType>(reader);
  vocabulary.scores = read_values<float>(reader);
  vocabulary.merges = read_strings(reader);
  if (reader.remaining() != 0) {
    user_error("{}: damaged: {} bytes after the end at byte {}", what, reader.remaining(), reader.offset());
  }
  check_vocabulary(vocabulary, what);
  return vocabulary;
}

}  // namespace lockstep::text
