// The file of a kept prefix block: the state of up to 64 tokens in canonical form, with the tokens and the
// key of the block before. docs/prefix-cache.md has the byte form. The state's bytes are opaque here.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace lockstep::store {

inline constexpr uint32_t kPrefixVersion = 1;
inline constexpr uint32_t kPrefixTokensMax = 64;  // of a block

// Whose blocks these are.
struct PrefixIdentity {
  Hash256 fingerprint{};
  uint64_t token_bytes = 0;  // of state, a token
};

// The key of a block, from that of the block before it (the fingerprint where there is none).
Hash256 prefix_key(const Hash256& parent, std::span<const int32_t> tokens);

struct PrefixBlock {
  Hash256 parent{};
  std::array<int32_t, kPrefixTokensMax> storage{};
  uint32_t count = 0;  // of tokens
  Bytes payload;       // views the file

  std::span<const int32_t> tokens() const { return std::span(storage).first(count); }
};

// A file's size, and where in it the payload stands.
uint64_t prefix_file_bytes(const PrefixIdentity& identity, uint32_t tokens);
uint64_t prefix_payload_offset(uint32_t tokens);

// Writes everything before the payload, and the hash at the end. REQUIRES: a buffer of prefix_file_bytes().
void write_prefix_head(const PrefixIdentity& identity, const Hash256& parent, std::span<const int32_t> tokens,
                       std::span<std::byte> file);
void seal_prefix(std::span<std::byte> file);

// Reads a whole file. Throws a user's error that names `what` and says what is wrong with it.
PrefixBlock read_prefix(Bytes file, const PrefixIdentity& identity, const std::string& what);
// The same from the file's beginning alone, unhashed and without the payload.
inline constexpr uint64_t kPrefixHeadBytesMax = 96 + kPrefixTokensMax * sizeof(int32_t);
PrefixBlock read_prefix_head(Bytes beginning, const PrefixIdentity& identity, const std::string& what);

// The file's name says whose child it is and, by a digit a token, nearly what its tokens are, so that the
// longest common beginning is found by reading names: PARENT-TOKENDIGITS-KEY in lower-case hexadecimal,
// parent and key by their first 8 bytes.
std::string prefix_name(const Hash256& parent, std::span<const int32_t> tokens);
// What the names of all blocks under a parent begin with.
std::string prefix_name_beginning(const Hash256& parent);
std::string prefix_token_digits(std::span<const int32_t> tokens);
// The token digits of a name; nothing if this is no name of a block.
std::optional<std::string_view> token_digits_of(std::string_view name);

}  // namespace lockstep::store
