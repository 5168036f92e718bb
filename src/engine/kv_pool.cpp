#include "engine/kv_pool.h"

#include <algorithm>
#include <cstring>

#include "base/memory.h"

namespace lockstep::engine {

KvPool::KvPool(targets::Target& target, PrefixKeeper* keeper)
    : target_(target), keeper_(keeper), page_positions_(target.page_positions()) {
  const uint32_t pages = target.pages();
  for (uint32_t page = pages; page > 0; --page) free_.push_back(page - 1);
  prepared_.resize(pages);
  nodes_.resize(pages + size_t{1});
  tokens_.resize(nodes_.size() * page_positions_);
  for (uint32_t node = pages; node > 0; --node) spare_.push_back(node);
  if (keeper_ != nullptr) nodes_[kRoot].key = keeper_->root();
}

KvPool::Match KvPool::longest_match(uint32_t parent, std::span<const int32_t> tokens) const {
  Match best;
  for (uint32_t id = nodes_[parent].first_child; id != kNoNode; id = nodes_[id].next_sibling) {
    const Node& node = nodes_[id];
    const std::span<const int32_t> block = tokens_of(id);
    const size_t most = std::min(block.size(), tokens.size());
    uint32_t count = 0;
    while (count < most && block[count] == tokens[count]) ++count;
    // Of equal matches the fuller block: others may follow it.
    if (count > best.count || (count == best.count && count != 0 && node.count > nodes_[best.node].count)) {
      best = {id, count};
    }
  }
  return best;
}

uint32_t KvPool::add_node(uint32_t parent, std::span<const int32_t> tokens, uint32_t page) {
  LOCKSTEP_CHECK(!spare_.empty());
  const uint32_t id = spare_.back();
  spare_.pop_back();
  Node& node = nodes_[id];
  node = {};
  node.count = static_cast<uint32_t>(tokens.size());
  std::copy(tokens.begin(), tokens.end(), tokens_of(id).begin());
  node.page = page;
  node.parent = parent;
  node.next_sibling = nodes_[parent].first_child;
  node.last_use = ++clock_;
  nodes_[parent].first_child = id;
  if (keeper_ != nullptr && node.count == page_positions_)
    node.key = keeper_->key(nodes_[parent].key, tokens);
  ++unused_;
  return id;
}

void KvPool::use(uint32_t id) {
  if (nodes_[id].users++ == 0) --unused_;
  nodes_[id].last_use = ++clock_;
}

void KvPool::stop_using(uint32_t id) {
  if (--nodes_[id].users == 0) ++unused_;
  nodes_[id].last_use = ++clock_;
}

// Takes an unused leaf out of the tree; its page is the next to be taken.
void KvPool::remove(uint32_t id) {
  uint32_t* link = &nodes_[nodes_[id].parent].first_child;
  while (*link != id) link = &nodes_[*link].next_sibling;
  *link = nodes_[id].next_sibling;
  free_.push_back(nodes_[id].page);
  nodes_[id].count = 0;
  spare_.push_back(id);
  --unused_;
}

// Gives the longest unused leaf's page back to the free ones. A used node's ancestors are used as well, so
// that where a page is unused, some leaf is.
bool KvPool::evict() {
  uint32_t oldest = kNoNode;
  for (uint32_t id = 1; id < nodes_.size(); ++id) {
    const Node& node = nodes_[id];
    if (node.count == 0 || node.users != 0 || node.first_child != kNoNode) continue;
    if (oldest == kNoNode || node.last_use < nodes_[oldest].last_use) oldest = id;
  }
  if (oldest == kNoNode) return false;
  remove(oldest);
  return true;
}

bool KvPool::take_page(uint32_t& page) {
  if (free_.empty() && !evict()) return false;
  page = free_.back();
  free_.pop_back();
  return true;
}

// Takes a block under `parent` from the keeper into the tree, if there is one that has more than `more_than`
// tokens in common with `tokens`.
bool KvPool::load_kept(uint32_t parent, std::span<const int32_t> tokens, uint32_t more_than) {
  uint32_t page = 0;
  if (!take_page(page)) return false;
  const std::span<const int32_t> found =
      keeper_->load(nodes_[parent].key, tokens, more_than, target_.page(page));
  if (found.empty()) {
    free_.push_back(page);
  } else {
    add_node(parent, found, page);
  }
  return !found.empty();
}

void KvPool::keep(uint32_t id) {
  if (keeper_ == nullptr) return;
  const Node& node = nodes_[id];
  keeper_->save(nodes_[node.parent].key, tokens_of(id), target_.page(node.page));
}

uint32_t KvPool::reuse(HeldPages& held, std::span<const int32_t> tokens, uint32_t computed) {
  bool ask_keeper = keeper_ != nullptr && held.pages.empty();
  while (true) {
    const size_t begin = held.blocks.size() * page_positions_;
    if (begin + 1 >= tokens.size()) return computed;
    const std::span<const int32_t> rest =
        tokens.subspan(begin, std::min<size_t>(tokens.size() - 1 - begin, page_positions_));
    const Match match = longest_match(root_of(held), rest);
    if (ask_keeper && match.count < rest.size()) {
      ask_keeper = load_kept(root_of(held), rest, match.count);
      continue;  // making room for it may have changed the tree
    }
    if (begin + match.count <= computed) return computed;
    const size_t index = held.blocks.size();
    if (match.count == page_positions_) {
      use(match.node);
      if (index < held.pages.size()) {
        free_.push_back(held.pages[index]);
        held.pages[index] = nodes_[match.node].page;
      } else {
        held.pages.push_back(nodes_[match.node].page);
      }
      held.blocks.push_back(match.node);
      computed = static_cast<uint32_t>(begin) + match.count;
      continue;
    }
    // The block where the sequence differs: its own page, with the beginning copied.
    use(match.node);  // so that it is not the one to make room
    bool copied = index < held.pages.size();
    if (!copied) {
      uint32_t page = 0;
      copied = take_page(page);
      if (copied) held.pages.push_back(page);
    }
    if (copied) {
      const std::span<std::byte> from = target_.page(nodes_[match.node].page);
      std::memcpy(target_.page(held.pages[index]).data(), from.data(), from.size());
      computed = static_cast<uint32_t>(begin) + match.count;
    }
    stop_using(match.node);
    if (!copied && nodes_[match.node].users == 0 && nodes_[match.node].first_child == kNoNode) {
      // No other page can be had: the block's own.
      remove(match.node);
      held.pages.push_back(free_.back());
      free_.pop_back();
      computed = static_cast<uint32_t>(begin) + match.count;
    }
    return computed;
  }
}

bool KvPool::extend(HeldPages& held, uint32_t positions) {
  while (held.pages.size() < pages_for(positions)) {
    uint32_t page = 0;
    if (!take_page(page)) return false;
    held.pages.push_back(page);
  }
  return true;
}

void KvPool::prepare(const HeldPages& held, uint64_t positions) {
  const uint32_t wanted = pages_for(std::min<uint64_t>(positions, target_.context()));
  for (size_t i = held.pages.size(), taken = 0; i < wanted && taken < free_.size(); ++i, ++taken) {
    const uint32_t page = free_[free_.size() - 1 - taken];
    if (!prepared_[page]) populate(target_.page(page));
    prepared_[page] = true;
  }
}

void KvPool::publish(HeldPages& held, std::span<const int32_t> tokens, uint32_t computed) {
  for (size_t index = held.blocks.size(); (index + 1) * page_positions_ <= computed; ++index) {
    const std::span<const int32_t> block = tokens.subspan(index * page_positions_, page_positions_);
    const uint32_t parent = root_of(held);
    const Match match = longest_match(parent, block);
    uint32_t id = match.node;
    if (match.count == page_positions_) {
      free_.push_back(held.pages[index]);
      held.pages[index] = nodes_[id].page;
    } else {
      id = add_node(parent, block, held.pages[index]);
      keep(id);
    }
    use(id);
    held.blocks.push_back(id);
  }
}

void KvPool::release(HeldPages& held, std::span<const int32_t> tokens, uint32_t computed) {
  publish(held, tokens, computed);
  const size_t begin = held.blocks.size() * page_positions_;
  size_t published = held.blocks.size();
  if (computed > begin) {
    const std::span<const int32_t> rest = tokens.subspan(begin, computed - begin);
    if (longest_match(root_of(held), rest).count < rest.size()) {
      keep(add_node(root_of(held), rest, held.pages[published]));
      ++published;
    }
  }
  free_.insert(free_.end(), held.pages.begin() + static_cast<std::ptrdiff_t>(published), held.pages.end());
  for (uint32_t id : held.blocks) stop_using(id);
  held.pages.clear();
  held.blocks.clear();
}

}  // namespace lockstep::engine
