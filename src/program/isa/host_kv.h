// How the host instruction set stores the KV cache: pages of 64 positions, each holding every layer's keys
// and values of those positions. Inside a page, per layer and KV head:
//
//   keys    [head_width / 2][64 positions][2]      two neighbouring elements of a position side by side
//   values  [64 positions / 2][value lanes][2]     two neighbouring positions of an element side by side
//   key scales [64] binary32, value scales [64] binary32
//
// Elements are int16, or int8 with an 8-bit cache. Value lanes are value_width rounded up to 16.
//
// Outside a target a page has the canonical form below, which knows nothing of units and lanes.
#pragma once

#include <cstdint>
#include <span>

#include "program/program.h"

namespace lockstep::program::isa {

inline constexpr uint32_t kPagePositions = 64;

struct KvLayout {
  uint32_t layers = 0, kv_heads = 0, head_width = 0, value_width = 0, kv_bits = 16;

  explicit KvLayout(const StateLayout& state)
      : layers(state.layers),
        kv_heads(state.kv_heads),
        head_width(state.head_width),
        value_width(state.value_width),
        kv_bits(state.kv_bits) {}

  uint64_t element_bytes() const { return kv_bits / 8; }
  uint64_t value_lanes() const { return (uint64_t{value_width} + 15) / 16 * 16; }
  uint64_t key_bytes() const { return uint64_t{head_width} * kPagePositions * element_bytes(); }
  uint64_t value_bytes() const { return value_lanes() * kPagePositions * element_bytes(); }
  uint64_t head_bytes() const { return key_bytes() + value_bytes() + 2 * kPagePositions * sizeof(float); }
  uint64_t page_bytes() const { return uint64_t{layers} * kv_heads * head_bytes(); }

  // Offsets in a page of one layer's KV head.
  uint64_t keys(uint32_t layer, uint32_t kv_head) const {
    return (uint64_t{layer} * kv_heads + kv_head) * head_bytes();
  }
  uint64_t values(uint32_t layer, uint32_t kv_head) const { return keys(layer, kv_head) + key_bytes(); }
  uint64_t key_scales(uint32_t layer, uint32_t kv_head) const {
    return values(layer, kv_head) + value_bytes();
  }
  uint64_t value_scales(uint32_t layer, uint32_t kv_head) const {
    return key_scales(layer, kv_head) + kPagePositions * sizeof(float);
  }

  // Index of an element in its array.
  static uint64_t key_index(uint32_t d, uint32_t slot) { return (d / 2 * kPagePositions + slot) * 2 + d % 2; }
  uint64_t value_index(uint32_t d, uint32_t slot) const {
    return (slot / 2 * value_lanes() + d) * 2 + slot % 2;
  }

  // Bytes of one position in canonical form.
  uint64_t canonical_position_bytes() const {
    return uint64_t{layers} * kv_heads *
           ((uint64_t{head_width} + value_width) * element_bytes() + 2 * sizeof(float));
  }
};

// The canonical form of the first `positions` (1 to 64) positions of a page. Per layer and KV head, all
// little-endian and without padding:
//
//   keys [positions][head_width], values [positions][value_width]      int16, or int8 with an 8-bit cache
//   key scales [positions], value scales [positions]                   binary32
//
// REQUIRES: a page of page_bytes(), and positions * canonical_position_bytes() of canonical form.
void to_canonical(const KvLayout& layout, std::span<const std::byte> page, uint32_t positions,
                  std::span<std::byte> canonical);
// Leaves the page's other positions and its padding as they are.
void from_canonical(const KvLayout& layout, std::span<const std::byte> canonical, uint32_t positions,
                    std::span<std::byte> page);

}  // namespace lockstep::program::isa
