// For the tests of this folder: small prefix blocks whose state follows from their parent and tokens.
#pragma once

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "store/prefix_folder.h"
#include "store/test_processes.h"

namespace lockstep::store {

inline PrefixIdentity test_identity(uint8_t model = 1, uint64_t token_bytes = 24) {
  PrefixIdentity identity;
  identity.fingerprint.fill(std::byte{model});
  identity.token_bytes = token_bytes;
  return identity;
}

inline std::vector<int32_t> tokens_from(int32_t first, uint32_t count) {
  std::vector<int32_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

// Byte by byte from a hash, so that blocks that were swapped or mixed differ everywhere.
inline void fill_state(const Hash256& parent, std::span<const int32_t> tokens, std::span<std::byte> payload) {
  const Hash256 key = prefix_key(parent, tokens);
  for (size_t i = 0; i < payload.size(); ++i)
    payload[i] = key[i % key.size()] ^ static_cast<std::byte>(i / key.size());
}

inline std::vector<std::byte> make_block(const PrefixIdentity& identity, const Hash256& parent,
                                         std::span<const int32_t> tokens) {
  const auto count = static_cast<uint32_t>(tokens.size());
  std::vector<std::byte> file(prefix_file_bytes(identity, count));
  write_prefix_head(identity, parent, tokens, file);
  fill_state(parent, tokens,
             std::span(file).subspan(prefix_payload_offset(count), count * identity.token_bytes));
  seal_prefix(file);
  return file;
}

// Whether a block that was found is the one of these tokens, to the last byte.
inline testing::AssertionResult is_block(const std::optional<PrefixBlock>& block, const Hash256& parent,
                                         const std::vector<int32_t>& tokens) {
  if (!block) return testing::AssertionFailure() << "there is none";
  if (!std::equal(tokens.begin(), tokens.end(), block->tokens().begin(), block->tokens().end())) {
    return testing::AssertionFailure() << "it has " << block->count << " other tokens";
  }
  std::vector<std::byte> expected(block->payload.size());
  fill_state(parent, tokens, expected);
  if (!std::equal(expected.begin(), expected.end(), block->payload.begin())) {
    return testing::AssertionFailure() << "its state differs";
  }
  return testing::AssertionSuccess();
}

}  // namespace lockstep::store
