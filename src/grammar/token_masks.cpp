#include "grammar/token_masks.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::grammar {

namespace {

constexpr size_t kKnownMax = 4096;  // numbered readings, about 1 KiB each
constexpr size_t kMasksMax = 512;   // an eighth of a byte for each token of the vocabulary

void set_bit(std::vector<uint64_t>& bits, int32_t id) {
  bits[id / 64] |= uint64_t{1} << (id % 64);
}

}  // namespace

// FNV-1a over words.
size_t TokenMasks::HashReadings::operator()(const Readings& readings) const {
  uint64_t hash = 0xCBF29CE484222325;
  for (const uint32_t word : readings.words) hash = (hash ^ word) * 0x100000001B3;
  return hash ^ (hash >> 32);
}

TokenMasks::TokenMasks(const Grammar& grammar, const TokenTrie& trie, std::vector<int32_t> end_tokens)
    : grammar_(grammar),
      trie_(trie),
      end_tokens_(std::move(end_tokens)),
      word_count_((trie.token_count + 63) / 64),
      path_(trie.depth_max + 1) {
  for (const int32_t id : end_tokens_) {
    if (id < 0 || static_cast<size_t>(id) >= trie.token_count) {
      user_error("end token {} is outside the vocabulary of {} tokens", id, trie.token_count);
    }
  }
  forget();
}

void TokenMasks::forget() {
  known_.clear();
  numbers_.clear();
  masks_ = 0;
  number(Readings{});  // kDead
}

TokenMasks::Number TokenMasks::number(const Readings& readings) {
  const auto [entry, is_new] = numbers_.try_emplace(readings, static_cast<Number>(known_.size()));
  if (is_new) known_.push_back({.readings = &entry->first});
  return entry->second;
}

TokenMasks::Step TokenMasks::step_at(Number number) {
  std::unique_ptr<Number[]>& table = known_[number].steps;
  if (!table) {
    table = std::make_unique<Number[]>(256);
    std::fill_n(table.get(), 256, kUnknown);
  }
  return {number, table.get()};
}

TokenMasks::Number TokenMasks::work_out_step(const Step& from, uint8_t byte) {
  const Readings next = advance(grammar_, *known_[from.number].readings, byte);
  return from.table[byte] = number(next) | (reaches_hole(next) ? kLeaves : 0);
}

void TokenMasks::walk(uint32_t begin, uint32_t end, std::vector<uint64_t>& bits,
                      std::vector<uint32_t>* leaving) {
  for (uint32_t i = begin; i < end;) {
    const TokenTrie::Node& node = trie_.nodes[i];
    const Number next = step(path_[node.depth - 1], node.byte);
    if (next == kDead || (next & kLeaves) != 0) {
      if (next != kDead) leaving->push_back(i);
      i = node.end;
      continue;
    }
    for (const int32_t id : trie_.tokens_at(i)) set_bit(bits, id);
    ++i;
    if (i < node.end) path_[node.depth] = step_at(next);
  }
}

const TokenMasks::LocalMask& TokenMasks::local_mask(Number holes) {
  if (!known_[holes].local) {
    auto local = std::make_unique<LocalMask>();
    local->bits.resize(word_count_);
    path_[0] = step_at(holes);
    walk(0, trie_.node_count(), local->bits, &local->leaving);
    known_[holes].local = std::move(local);
    ++masks_;
  }
  return *known_[holes].local;
}

std::vector<uint64_t> TokenMasks::work_out_mask(Number id) {
  const Readings& readings = *known_[id].readings;
  std::vector<uint64_t> bits(word_count_);
  if (!readings.single()) {
    path_[0] = step_at(id);
    walk(0, trie_.node_count(), bits, nullptr);
  } else {
    const LocalMask& local = local_mask(number(with_holes(readings)));
    bits = local.bits;
    path_[0] = step_at(id);
    for (const uint32_t first : local.leaving) {
      // The readings before the node, along the way down to it.
      std::vector<uint8_t> way(trie_.nodes[first].depth - 1);
      for (uint32_t node = first, depth = trie_.nodes[first].depth - 1; depth > 0; --depth) {
        node = trie_.nodes[node].parent;
        way[depth - 1] = trie_.nodes[node].byte;
      }
      for (size_t depth = 0; depth < way.size(); ++depth)
        path_[depth + 1] = step_at(step(path_[depth], way[depth]));
      walk(first, trie_.nodes[first].end, bits, nullptr);
    }
  }
  if (may_finish(grammar_, readings)) {
    for (const int32_t token : end_tokens_) set_bit(bits, token);
  }
  return bits;
}

bool TokenMasks::knows(const Readings& readings) const {
  const auto found = numbers_.find(readings);
  return found != numbers_.end() && !known_[found->second].mask.empty();
}

std::span<const uint64_t> TokenMasks::allowed(const Readings& readings) {
  if (known_.size() > kKnownMax || masks_ > kMasksMax) forget();
  const Number id = number(readings);
  if (known_[id].mask.empty()) {
    std::vector<uint64_t> mask = work_out_mask(id);
    known_[id].mask = std::move(mask);
    ++masks_;
  }
  return known_[id].mask;
}

}  // namespace lockstep::grammar
