// Pages of the host's KV pool kept in a folder in canonical form: --cache-dir.
#pragma once

#include "engine/prefix_keeper.h"
#include "program/isa/host_kv.h"
#include "store/prefix_store.h"

namespace lockstep::api {

class KeptPrefixes final : public engine::PrefixKeeper {
 public:
  // REQUIRES: a program of the host's instruction set. A folder that cannot be used is warned of, and then
  // nothing is kept.
  KeptPrefixes(const program::Program& program, const store::PrefixStoreOptions& options);

  Hash256 root() const override { return root_; }
  Hash256 key(const Hash256& parent, std::span<const int32_t> tokens) const override {
    return store::prefix_key(parent, tokens);
  }
  std::span<const int32_t> load(const Hash256& parent, std::span<const int32_t> tokens, uint32_t more_than,
                                std::span<std::byte> page) override;
  void save(const Hash256& parent, std::span<const int32_t> tokens, std::span<const std::byte> page) override;

  store::PrefixStore& store() { return store_; }

 private:
  Hash256 root_;
  program::isa::KvLayout layout_;
  store::PrefixStore store_;
  store::PrefixBlock loaded_;
};

}  // namespace lockstep::api
