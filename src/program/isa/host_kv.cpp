#include "program/isa/host_kv.h"

#include <cstring>

#include "base/error.h"

namespace lockstep::program::isa {
namespace {

// One element of the page's array at `host` and its canonical place; which is copied to which is all that
// the two directions differ in.
struct ToCanonical {
  using Host = const std::byte*;
  using Canonical = std::byte*;
  template <uint64_t kBytes>
  static void copy(Host host, Canonical canonical) {
    std::memcpy(canonical, host, kBytes);
  }
};

struct FromCanonical {
  using Host = std::byte*;
  using Canonical = const std::byte*;
  template <uint64_t kBytes>
  static void copy(Host host, Canonical canonical) {
    std::memcpy(host, canonical, kBytes);
  }
};

template <class Direction, uint64_t kBytes>
void convert(const KvLayout& layout, typename Direction::Host page, uint32_t positions,
             typename Direction::Canonical canonical) {
  auto matrix = [&](uint64_t array, uint32_t width, auto index) {
    for (uint32_t slot = 0; slot < positions; ++slot) {
      for (uint32_t d = 0; d < width; ++d) {
        Direction::template copy<kBytes>(page + array + index(d, slot) * kBytes, canonical + d * kBytes);
      }
      canonical += uint64_t{width} * kBytes;
    }
  };
  auto scales = [&](uint64_t array) {
    for (uint32_t slot = 0; slot < positions; ++slot, canonical += sizeof(float)) {
      Direction::template copy<sizeof(float)>(page + array + slot * sizeof(float), canonical);
    }
  };
  for (uint32_t layer = 0; layer < layout.layers; ++layer) {
    for (uint32_t head = 0; head < layout.kv_heads; ++head) {
      matrix(layout.keys(layer, head), layout.head_width,
             [&](uint32_t d, uint32_t slot) { return layout.key_index(d, slot); });
      matrix(layout.values(layer, head), layout.value_width,
             [&](uint32_t d, uint32_t slot) { return layout.value_index(d, slot); });
      scales(layout.key_scales(layer, head));
      scales(layout.value_scales(layer, head));
    }
  }
}

template <class Direction>
void convert(const KvLayout& layout, typename Direction::Host page, uint64_t page_bytes, uint32_t positions,
             typename Direction::Canonical canonical, uint64_t canonical_bytes) {
  LOCKSTEP_CHECK(positions >= 1 && positions <= kPagePositions);
  LOCKSTEP_CHECK(page_bytes == layout.page_bytes());
  LOCKSTEP_CHECK(canonical_bytes == positions * layout.canonical_position_bytes());
  if (layout.kv_bits == 16) return convert<Direction, 2>(layout, page, positions, canonical);
  LOCKSTEP_CHECK(layout.kv_bits == 8);
  convert<Direction, 1>(layout, page, positions, canonical);
}

}  // namespace

void to_canonical(const KvLayout& layout, std::span<const std::byte> page, uint32_t positions,
                  std::span<std::byte> canonical) {
  convert<ToCanonical>(layout, page.data(), page.size(), positions, canonical.data(), canonical.size());
}

void from_canonical(const KvLayout& layout, std::span<const std::byte> canonical, uint32_t positions,
                    std::span<std::byte> page) {
  convert<FromCanonical>(layout, page.data(), page.size(), positions, canonical.data(), canonical.size());
}

}  // namespace lockstep::program::isa
