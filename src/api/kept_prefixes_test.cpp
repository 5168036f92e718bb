// Pages come back from the folder as they were, for caches of 16 and 8 bits, whole and begun.
#include "api/kept_prefixes.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "store/test_processes.h"

namespace lockstep::api {
namespace {

using program::isa::KvLayout;

program::Program program_of(uint32_t kv_bits, uint32_t head_width, uint32_t value_width, uint8_t model) {
  program::Program program;
  program.fingerprint.fill(std::byte{model});
  program.state.layers = 3;
  program.state.kv_heads = 2;
  program.state.head_width = head_width;
  program.state.value_width = value_width;
  program.state.kv_bits = kv_bits;
  return program;
}

std::vector<std::byte> random_page(const program::Program& program, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> page(KvLayout(program.state).page_bytes());
  for (std::byte& byte : page) byte = static_cast<std::byte>(random());
  return page;
}

std::vector<std::byte> canonical(const program::Program& program, std::span<const std::byte> page,
                                 size_t positions) {
  const KvLayout layout(program.state);
  std::vector<std::byte> form(positions * layout.canonical_position_bytes());
  to_canonical(layout, page, static_cast<uint32_t>(positions), form);
  return form;
}

class KeptPrefixesTest : public testing::TestWithParam<program::Program> {};

TEST_P(KeptPrefixesTest, PagesComeBack) {
  const program::Program& program = GetParam();
  store::TemporaryFolder folder;
  std::vector<int32_t> tokens(100);
  std::iota(tokens.begin(), tokens.end(), 11);
  const std::span<const int32_t> first = std::span(tokens).first(64), second = std::span(tokens).subspan(64);
  const std::vector<std::byte> first_page = random_page(program, 1), second_page = random_page(program, 2);
  {
    KeptPrefixes kept(program, {.folder = folder.path()});
    kept.save(kept.root(), first, first_page);
    kept.save(kept.key(kept.root(), first), second, second_page);
  }
  KeptPrefixes kept(program, {.folder = folder.path()});
  std::vector<std::byte> page = random_page(program, 3);
  const std::vector<std::byte> before = page;
  auto found = kept.load(kept.root(), tokens, 0, page);
  EXPECT_TRUE(std::equal(found.begin(), found.end(), first.begin(), first.end()));
  EXPECT_TRUE(canonical(program, page, 64) == canonical(program, first_page, 64));

  page = before;
  const Hash256 key = kept.key(kept.root(), first);
  std::vector<int32_t> wanted(second.begin(), second.begin() + 20);
  wanted.push_back(-1);
  found = kept.load(key, wanted, 19, page);
  EXPECT_TRUE(std::equal(found.begin(), found.end(), second.begin(), second.end()));
  EXPECT_TRUE(canonical(program, page, found.size()) == canonical(program, second_page, found.size()));

  page = before;
  EXPECT_TRUE(kept.load(key, wanted, 20, page).empty());
  EXPECT_TRUE(kept.load(kept.root(), wanted, 0, page).empty());
  EXPECT_TRUE(page == before);
}

INSTANTIATE_TEST_SUITE_P(Caches, KeptPrefixesTest,
                         testing::Values(program_of(16, 64, 64, 1), program_of(16, 6, 3, 2),
                                         program_of(8, 64, 64, 3), program_of(8, 10, 7, 4)));

// The same tokens under two models are two things, also where only the fingerprint differs.
TEST(KeptPrefixes, ModelsDoNotMeet) {
  store::TemporaryFolder folder;
  const program::Program one = program_of(16, 8, 8, 1), other = program_of(16, 8, 8, 2);
  const std::vector<int32_t> tokens(64, 5);
  std::vector<std::byte> page = random_page(one, 1);
  {
    KeptPrefixes kept(one, {.folder = folder.path()});
    kept.save(kept.root(), tokens, page);
  }
  KeptPrefixes kept(other, {.folder = folder.path()});
  EXPECT_TRUE(kept.load(kept.root(), tokens, 0, page).empty());
}

}  // namespace
}  // namespace lockstep::api
