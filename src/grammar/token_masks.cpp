#include "grammar/token_masks.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::grammar {

namespace {

constexpr size_t kKnownMax = 4096;  // numbered readings, about 1 KiB each
constexpr size_t kLocalMax = 512;   // local masks, an eighth of a byte for each token of the vocabulary

void set_bit(std::vector<uint64_t>& bits, int32_t id) {
  bits[id / 64] |= uint64_t{1} << (id % 64);
}

}  // namespace

size_t HashReadings::operator()(const Readings& readings) const {
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
  local_masks_ = 0;
  number(Readings{});  // kDead
}

TokenMasks::Number TokenMasks::number(const Readings& readings) {
  const auto found = numbers_.find(readings);
  if (found != numbers_.end()) return found->second;
  // In this order a failure of either leaves a number that is never used.
  const auto next = static_cast<Number>(known_.size());
  known_.emplace_back();
  known_[next].readings = &numbers_.emplace(readings, next).first->first;
  return next;
}

TokenMasks::Step TokenMasks::step_at(Number number) {
  std::unique_ptr<Number[]>& table = known_[number].steps;
  if (!table) {
    table = std::make_unique<Number[]>(256);
    std::fill_n(table.get(), 256, kUnknown);
  }
  return {number, table.get()};
}

TokenMasks::Number TokenMasks::work_out_step(const Step& from, uint8_t byte, const Stop& stop) {
  if (stop && stop()) return kUnknown;
  const Readings next = advance(grammar_, *known_[from.number].readings, byte);
  return from.table[byte] = number(next) | (reaches_hole(next) ? kLeaves : 0);
}

bool TokenMasks::walk(uint32_t begin, uint32_t end, std::vector<uint64_t>& bits,
                      std::vector<uint32_t>* leaving, const Stop& stop) {
  for (uint32_t i = begin; i < end;) {
    const TokenTrie::Node& node = trie_.nodes[i];
    const Number next = step(path_[node.depth - 1], node.byte, stop);
    if (next == kUnknown) return false;
    if (next == kDead || (next & kLeaves) != 0) {
      if (next != kDead) leaving->push_back(i);
      i = node.end;
      continue;
    }
    for (const int32_t id : trie_.tokens_at(i)) set_bit(bits, id);
    ++i;
    if (i < node.end) path_[node.depth] = step_at(next);
  }
  return true;
}

bool TokenMasks::walk_down(uint32_t node, const Stop& stop) {
  std::vector<uint8_t> way(trie_.nodes[node].depth - 1);
  for (size_t depth = way.size(); depth > 0; --depth) {
    node = trie_.nodes[node].parent;
    way[depth - 1] = trie_.nodes[node].byte;
  }
  for (size_t depth = 0; depth < way.size(); ++depth) {
    const Number next = step(path_[depth], way[depth], stop);
    if (next == kUnknown) return false;
    path_[depth + 1] = step_at(next);
  }
  return true;
}

const TokenMasks::LocalMask* TokenMasks::local_mask(Number holes, const Stop& stop) {
  if (!known_[holes].local) {
    auto local = std::make_unique<LocalMask>();
    local->bits.resize(word_count_);
    path_[0] = step_at(holes);
    if (!walk(0, trie_.node_count(), local->bits, &local->leaving, stop)) return nullptr;
    known_[holes].local = std::move(local);
    ++local_masks_;
  }
  return known_[holes].local.get();
}

std::optional<std::vector<uint64_t>> TokenMasks::allowed(const Readings& readings, const Stop& stop) {
  const bool goes_on = readings == unfinished_;
  if (!goes_on && (known_.size() > kKnownMax || local_masks_ > kLocalMax)) forget();
  if (!goes_on) unfinished_ = readings;
  const Number id = number(readings);
  std::vector<uint64_t> bits(word_count_);
  if (!readings.single()) {
    path_[0] = step_at(id);
    if (!walk(0, trie_.node_count(), bits, nullptr, stop)) return std::nullopt;
  } else {
    const LocalMask* local = local_mask(number(with_holes(readings)), stop);
    if (local == nullptr) return std::nullopt;
    bits = local->bits;
    path_[0] = step_at(id);
    for (const uint32_t first : local->leaving) {
      const bool walked = walk_down(first, stop) && walk(first, trie_.nodes[first].end, bits, nullptr, stop);
      if (!walked) return std::nullopt;
    }
  }
  if (may_finish(grammar_, readings)) {
    for (const int32_t token : end_tokens_) set_bit(bits, token);
  }
  unfinished_ = {};
  return bits;
}

}  // namespace lockstep::grammar
