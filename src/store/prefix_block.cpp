#include "store/prefix_block.h"

#include <algorithm>

namespace lockstep::store {
namespace {

constexpr std::string_view kMagic = "LSPREFIX";
constexpr uint64_t kHeaderBytes = 96;
constexpr size_t kHexDigits = 16;  // of a parent or key in a name
static_assert(kPrefixHeadBytesMax == kHeaderBytes + kPrefixTokensMax * sizeof(int32_t));

Bytes bytes_of(std::span<const int32_t> tokens) {
  return {reinterpret_cast<const std::byte*>(tokens.data()), tokens.size_bytes()};
}

bool is_hexadecimal(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string short_hex(const Hash256& hash) {
  return hex(Bytes(hash).first(kHexDigits / 2));
}

Hash256 read_hash(ByteReader& reader) {
  Hash256 hash;
  std::copy_n(reader.take(hash.size()).data(), hash.size(), hash.data());
  return hash;
}

PrefixBlock read_head(ByteReader& reader, const PrefixIdentity& identity) {
  PrefixBlock block;
  const std::string& what = reader.what();
  if (as_text(reader.take(kMagic.size())) != kMagic) user_error("{}: damaged: no prefix block", what);
  const uint32_t version = reader.read<uint32_t>();
  if (version != kPrefixVersion) user_error("{}: damaged: version {}", what, version);
  block.count = reader.read<uint32_t>();
  if (block.count == 0 || block.count > kPrefixTokensMax) {
    user_error("{}: damaged: {} tokens", what, block.count);
  }
  const uint64_t payload_bytes = reader.read<uint64_t>();
  if (payload_bytes != block.count * identity.token_bytes) {
    user_error("{}: damaged: {} bytes of state for {} tokens", what, payload_bytes, block.count);
  }
  if (reader.read<uint64_t>() != 0) user_error("{}: damaged: the header's zeros", what);
  if (read_hash(reader) != identity.fingerprint) user_error("{}: damaged: of another model", what);
  block.parent = read_hash(reader);
  for (uint32_t i = 0; i < block.count; ++i) block.storage[i] = reader.read<int32_t>();
  return block;
}

}  // namespace

Hash256 prefix_key(const Hash256& parent, std::span<const int32_t> tokens) {
  return blake2b_chain(parent, bytes_of(tokens));
}

uint64_t prefix_payload_offset(uint32_t tokens) {
  return kHeaderBytes + tokens * sizeof(int32_t);
}

uint64_t prefix_file_bytes(const PrefixIdentity& identity, uint32_t tokens) {
  return prefix_payload_offset(tokens) + tokens * identity.token_bytes + sizeof(Hash128);
}

void write_prefix_head(const PrefixIdentity& identity, const Hash256& parent, std::span<const int32_t> tokens,
                       std::span<std::byte> file) {
  const auto count = static_cast<uint32_t>(tokens.size());
  LOCKSTEP_CHECK(count >= 1 && count <= kPrefixTokensMax);
  LOCKSTEP_CHECK(file.size() == prefix_file_bytes(identity, count));
  ByteWriter head;
  head.write_bytes(as_bytes(kMagic));
  head.write<uint32_t>(kPrefixVersion);
  head.write<uint32_t>(count);
  head.write<uint64_t>(count * identity.token_bytes);
  head.write<uint64_t>(0);
  head.write_bytes(identity.fingerprint);
  head.write_bytes(parent);
  head.write_bytes(bytes_of(tokens));
  std::copy(head.bytes().begin(), head.bytes().end(), file.begin());
}

void seal_prefix(std::span<std::byte> file) {
  LOCKSTEP_CHECK(file.size() >= sizeof(Hash128));
  const Hash128 hash = xxh3(file.first(file.size() - sizeof(Hash128)));
  std::copy(hash.begin(), hash.end(), file.end() - sizeof(Hash128));
}

PrefixBlock read_prefix_head(Bytes beginning, const PrefixIdentity& identity, const std::string& what) {
  ByteReader reader(beginning, what);
  return read_head(reader, identity);
}

PrefixBlock read_prefix(Bytes file, const PrefixIdentity& identity, const std::string& what) {
  ByteReader reader(file, what);
  PrefixBlock block = read_head(reader, identity);
  block.payload = reader.take(block.count * identity.token_bytes);
  const Bytes hash = reader.take(sizeof(Hash128));
  if (reader.remaining() != 0) user_error("{}: damaged: {} bytes too long", what, reader.remaining());
  const Hash128 expected = xxh3(file.first(file.size() - sizeof(Hash128)));
  if (!std::equal(expected.begin(), expected.end(), hash.begin())) {
    user_error("{}: damaged: its hash does not match", what);
  }
  return block;
}

std::string prefix_token_digits(std::span<const int32_t> tokens) {
  std::string digits;
  digits.reserve(tokens.size());
  // The upper bits of a product with 2^32 over the golden ratio spread neighbouring ids well.
  for (int32_t token : tokens) {
    digits.push_back("0123456789abcdef"[static_cast<uint32_t>(token) * 0x9E3779B9u >> 28]);
  }
  return digits;
}

std::string prefix_name_beginning(const Hash256& parent) {
  return short_hex(parent) + "-";
}

std::string prefix_name(const Hash256& parent, std::span<const int32_t> tokens) {
  return prefix_name_beginning(parent) + prefix_token_digits(tokens) + "-" +
         short_hex(prefix_key(parent, tokens));
}

std::optional<std::string_view> token_digits_of(std::string_view name) {
  constexpr size_t kOthers = 2 * kHexDigits + 2;
  if (name.size() <= kOthers || name.size() > kOthers + kPrefixTokensMax) return std::nullopt;
  const size_t count = name.size() - kOthers;
  const std::string_view digits = name.substr(kHexDigits + 1, count);
  if (name[kHexDigits] != '-' || name[kHexDigits + 1 + count] != '-' || !is_hexadecimal(digits) ||
      !is_hexadecimal(name.substr(0, kHexDigits)) || !is_hexadecimal(name.substr(name.size() - kHexDigits))) {
    return std::nullopt;
  }
  return digits;
}

}  // namespace lockstep::store
