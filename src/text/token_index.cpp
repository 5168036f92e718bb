#include "text/token_index.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

namespace lockstep::text {
namespace {

// A power of two that leaves at least half of the slots free, so that probing ends.
size_t slots_for(size_t count) {
  return std::bit_ceil(std::max<size_t>(count, 1) * 2);
}

uint64_t hash_of(std::string_view text) {
  return XXH3_64bits(text.data(), text.size());
}

uint64_t key_of(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

}  // namespace

TokenIndex::TokenIndex(const std::vector<std::string>& tokens)
    : tokens_(&tokens), slots_(slots_for(tokens.size())) {}

size_t TokenIndex::find_slot(std::string_view token, uint64_t hash) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  const auto tag = static_cast<uint32_t>(hash >> 32);
  while (slots_[slot].id != kNoToken && (slots_[slot].tag != tag || (*tokens_)[slots_[slot].id] != token)) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

void TokenIndex::insert(int32_t id) {
  const std::string& token = (*tokens_)[id];
  const uint64_t hash = hash_of(token);
  Slot& slot = slots_[find_slot(token, hash)];
  if (slot.id == kNoToken) slot = {id, static_cast<uint32_t>(hash >> 32)};
}

int32_t TokenIndex::find(std::string_view token) const {
  return slots_[find_slot(token, hash_of(token))].id;
}

MergeTable::MergeTable(size_t capacity)
    : slots_(slots_for(capacity)), shift_(64 - std::countr_zero(slots_.size())) {}

size_t MergeTable::find_slot(uint64_t key) const {
  const size_t mask = slots_.size() - 1;
  // Multiplicative hashing by 2^64 divided by the golden ratio, after mixing the halves.
  size_t slot = ((key ^ (key >> 29)) * 0x9E3779B97F4A7C15ull) >> shift_;
  while (slots_[slot].merge.id != kNoToken && slots_[slot].key != key) slot = (slot + 1) & mask;
  return slot;
}

void MergeTable::insert(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = key_of(left, right);
  Slot& slot = slots_[find_slot(key)];
  if (slot.merge.id == kNoToken) slot = {key, merge};
}

Merge MergeTable::find(int32_t left, int32_t right) const {
  return slots_[find_slot(key_of(left, right))].merge;
}

}  // namespace lockstep::text
