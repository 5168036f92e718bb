// The canonical form of a page: each element where the form says, whatever the page's own layout, and back.
#include "program/isa/host_kv.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "base/error.h"

namespace lockstep::program::isa {
namespace {

struct Shape {
  uint32_t layers, kv_heads, head_width, value_width, kv_bits;
};

constexpr Shape kShapes[] = {{2, 3, 64, 64, 16}, {1, 1, 2, 1, 16}, {3, 2, 34, 17, 16},
                             {2, 3, 64, 64, 8},  {1, 2, 6, 5, 8},  {2, 1, 128, 100, 8}};
constexpr uint32_t kPositions[] = {1, 2, 7, 63, 64};

KvLayout layout_of(const Shape& shape) {
  StateLayout state;
  state.layers = shape.layers;
  state.kv_heads = shape.kv_heads;
  state.head_width = shape.head_width;
  state.value_width = shape.value_width;
  state.kv_bits = shape.kv_bits;
  return KvLayout(state);
}

std::vector<std::byte> random_bytes(uint64_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// The canonical form as its definition says, element by element.
std::vector<std::byte> written_out(const KvLayout& layout, const std::vector<std::byte>& page,
                                   uint32_t positions) {
  std::vector<std::byte> form;
  auto put = [&](uint64_t offset, uint64_t bytes) {
    form.insert(form.end(), page.begin() + static_cast<std::ptrdiff_t>(offset),
                page.begin() + static_cast<std::ptrdiff_t>(offset + bytes));
  };
  const uint64_t element = layout.kv_bits / 8;
  for (uint32_t l = 0; l < layout.layers; ++l) {
    for (uint32_t h = 0; h < layout.kv_heads; ++h) {
      for (uint32_t t = 0; t < positions; ++t)
        for (uint32_t d = 0; d < layout.head_width; ++d)
          put(layout.keys(l, h) + layout.key_index(d, t) * element, element);
      for (uint32_t t = 0; t < positions; ++t)
        for (uint32_t d = 0; d < layout.value_width; ++d)
          put(layout.values(l, h) + layout.value_index(d, t) * element, element);
      for (uint32_t t = 0; t < positions; ++t)
        put(layout.key_scales(l, h) + t * sizeof(float), sizeof(float));
      for (uint32_t t = 0; t < positions; ++t)
        put(layout.value_scales(l, h) + t * sizeof(float), sizeof(float));
    }
  }
  return form;
}

TEST(CanonicalPage, IsAsItsDefinitionSays) {
  for (const Shape& shape : kShapes) {
    const KvLayout layout = layout_of(shape);
    const std::vector<std::byte> page = random_bytes(layout.page_bytes(), shape.head_width);
    for (uint32_t positions : kPositions) {
      std::vector<std::byte> form(positions * layout.canonical_position_bytes());
      to_canonical(layout, page, positions, form);
      EXPECT_TRUE(form == written_out(layout, page, positions)) << shape.head_width << " " << positions;
    }
  }
}

TEST(CanonicalPage, ComesBackAndLeavesTheRestAlone) {
  for (const Shape& shape : kShapes) {
    const KvLayout layout = layout_of(shape);
    const std::vector<std::byte> page = random_bytes(layout.page_bytes(), shape.head_width);
    const std::vector<std::byte> other = random_bytes(layout.page_bytes(), 1);
    for (uint32_t positions : kPositions) {
      std::vector<std::byte> form(positions * layout.canonical_position_bytes());
      to_canonical(layout, page, positions, form);
      std::vector<std::byte> back = other;
      from_canonical(layout, form, positions, back);
      EXPECT_TRUE(form == written_out(layout, back, positions)) << shape.head_width << " " << positions;
      // No byte of the page changed but those of the form.
      uint64_t changed = 0;
      for (size_t i = 0; i < back.size(); ++i) changed += back[i] != other[i] ? 1 : 0;
      EXPECT_LE(changed, form.size());
      // With the other bytes put back the same way, the page is what it was.
      std::vector<std::byte> before(form.size());
      to_canonical(layout, other, positions, before);
      from_canonical(layout, before, positions, back);
      EXPECT_TRUE(back == other) << shape.head_width << " " << positions;
    }
  }
}

TEST(CanonicalPage, RefusesWrongSizes) {
  const KvLayout layout = layout_of(kShapes[0]);
  std::vector<std::byte> page(layout.page_bytes());
  std::vector<std::byte> form(2 * layout.canonical_position_bytes());
  EXPECT_THROW(to_canonical(layout, page, 0, std::span(form).first(0)), Error);
  EXPECT_THROW(to_canonical(layout, page, 3, form), Error);
  EXPECT_THROW(from_canonical(layout, form, 1, page), Error);
  EXPECT_THROW(from_canonical(layout, form, 2, std::span(page).first(page.size() - 1)), Error);
  std::vector<std::byte> long_form(65 * layout.canonical_position_bytes());
  EXPECT_THROW(from_canonical(layout, long_form, 65, page), Error);
}

}  // namespace
}  // namespace lockstep::program::isa
