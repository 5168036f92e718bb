// The file of a prefix block: its bytes as documented, every damage seen, names that say what they hold.
#include "store/prefix_block.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "store/prefix_test_blocks.h"

namespace lockstep::store {
namespace {

constexpr uint64_t kTokenBytes = 24;

// Why a file is refused; empty if it is not.
std::string refusal(Bytes file, const PrefixIdentity& identity) {
  try {
    read_prefix(file, identity, "block");
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    return error.what();
  }
}

TEST(PrefixBlock, ComesBack) {
  const PrefixIdentity identity = test_identity(1);
  Hash256 parent{};
  parent[3] = std::byte{9};
  for (uint32_t count : {1u, 2u, 63u, 64u}) {
    const std::vector<int32_t> tokens = tokens_from(-5, count);
    const std::vector<std::byte> file = make_block(identity, parent, tokens);
    EXPECT_EQ(file.size(), 96 + 4 * count + kTokenBytes * count + 16);
    const PrefixBlock block = read_prefix(file, identity, "block");
    EXPECT_EQ(block.parent, parent);
    EXPECT_EQ(block.payload.size(), kTokenBytes * count);
    EXPECT_TRUE(is_block(block, parent, tokens));
    const PrefixBlock head = read_prefix_head(Bytes(file).first(96 + 4 * count), identity, "block");
    EXPECT_EQ(head.count, count);
    EXPECT_EQ(head.storage, block.storage);
  }
}

TEST(PrefixBlock, EveryDamageIsSeen) {
  const PrefixIdentity identity = test_identity(1);
  const std::vector<std::byte> file = make_block(identity, Hash256{}, tokens_from(0, 3));
  ASSERT_EQ(refusal(file, identity), "");
  for (size_t i = 0; i < file.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> damaged = file;
      damaged[i] ^= static_cast<std::byte>(1u << bit);
      EXPECT_NE(refusal(damaged, identity), "") << "byte " << i << " bit " << bit;
    }
  }
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_NE(refusal(Bytes(file).first(size), identity), "") << size << " bytes";
  }
  for (size_t more : {1, 16, 4096}) {
    std::vector<std::byte> longer = file;
    longer.resize(file.size() + more);
    EXPECT_NE(refusal(longer, identity), "") << more << " more";
  }
  EXPECT_NE(refusal(std::vector<std::byte>(file.size()), identity), "") << "zeros, as after a crash";
}

TEST(PrefixBlock, RefusalsSayWhy) {
  const PrefixIdentity identity = test_identity(1);
  std::vector<std::byte> file = make_block(identity, Hash256{}, tokens_from(0, 3));
  EXPECT_EQ(refusal(file, test_identity(2)), "block: damaged: of another model");
  PrefixIdentity wider = identity;
  wider.token_bytes = 25;
  EXPECT_EQ(refusal(file, wider), "block: damaged: 72 bytes of state for 3 tokens");
  file.back() ^= std::byte{1};
  EXPECT_EQ(refusal(file, identity), "block: damaged: its hash does not match");
  // Behind a right hash the numbers are checked all the same.
  for (uint32_t count : {0u, 65u, 0xffffffffu}) {
    file = make_block(identity, Hash256{}, tokens_from(0, 3));
    std::memcpy(file.data() + 12, &count, sizeof(count));
    seal_prefix(file);
    EXPECT_EQ(refusal(file, identity), fmt::format("block: damaged: {} tokens", count));
  }
}

TEST(PrefixBlock, KeysFormAChain) {
  const Hash256 root = test_identity(1).fingerprint;
  const std::vector<int32_t> a = tokens_from(0, 64), b = tokens_from(1, 64);
  EXPECT_NE(prefix_key(root, a), prefix_key(root, b));
  EXPECT_NE(prefix_key(root, a), prefix_key(test_identity(2).fingerprint, a));
  EXPECT_NE(prefix_key(root, a), prefix_key(root, std::span(a).first(63)));
  EXPECT_NE(prefix_key(prefix_key(root, a), b), prefix_key(prefix_key(root, b), a));
  // The formula of docs/prefix-cache.md.
  ByteWriter bytes;
  bytes.write_bytes(root);
  for (int32_t token : a) bytes.write(token);
  EXPECT_EQ(prefix_key(root, a), blake2b(bytes.bytes()));
}

TEST(PrefixBlock, NamesSayParentAndTokens) {
  const Hash256 root = test_identity(0xab).fingerprint;
  const std::vector<int32_t> tokens = tokens_from(1000, 5);
  const std::string name = prefix_name(root, tokens);
  EXPECT_EQ(name.substr(0, 17), "abababababababab-");
  EXPECT_TRUE(name.starts_with(prefix_name_beginning(root)));
  ASSERT_TRUE(token_digits_of(name).has_value());
  EXPECT_EQ(*token_digits_of(name), prefix_token_digits(tokens));
  EXPECT_TRUE(prefix_token_digits(tokens).starts_with(prefix_token_digits(std::span(tokens).first(3))));
  EXPECT_LE(prefix_name(root, tokens_from(0, 64)).size(), 200u);
  std::string wrong = name;
  wrong[19] = 'g';
  for (const std::string& text : {std::string(), std::string("x"), wrong, name + "0", name.substr(1),
                                  std::string(200, '-'), "." + name, name + ".lock"}) {
    EXPECT_FALSE(token_digits_of(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace lockstep::store
