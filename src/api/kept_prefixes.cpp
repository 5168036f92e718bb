#include "api/kept_prefixes.h"

namespace lockstep::api {

static_assert(program::isa::kPagePositions == store::kPrefixTokensMax);

KeptPrefixes::KeptPrefixes(const program::Program& program, const store::PrefixStoreOptions& options)
    : root_(program.fingerprint),
      layout_(program.state),
      store_({program.fingerprint, layout_.canonical_position_bytes()}, options) {}

std::span<const int32_t> KeptPrefixes::load(const Hash256& parent, std::span<const int32_t> tokens,
                                            uint32_t more_than, std::span<std::byte> page) {
  const auto block = store_.load(parent, tokens, more_than);
  if (!block) return {};
  program::isa::from_canonical(layout_, block->payload, block->count, page);
  loaded_ = *block;
  return loaded_.tokens();
}

void KeptPrefixes::save(const Hash256& parent, std::span<const int32_t> tokens,
                        std::span<const std::byte> page) {
  store_.save(parent, tokens, [&](std::span<std::byte> payload) {
    program::isa::to_canonical(layout_, page, static_cast<uint32_t>(tokens.size()), payload);
  });
}

}  // namespace lockstep::api
