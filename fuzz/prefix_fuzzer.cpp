// Files of kept prefix blocks from arbitrary bytes, taken four ways: as they are and with the hash made
// right, for a cache of 16 and one of 8 bits. The reader may refuse with a user's error and nothing else;
// what it accepts goes into a page and comes out again the same. The bytes are read as a file's name, too.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "program/isa/host_kv.h"
#include "store/prefix_block.h"

namespace {

using lockstep::Bytes;
using lockstep::program::isa::KvLayout;

KvLayout layout_of(uint32_t kv_bits) {
  lockstep::program::StateLayout state;
  state.layers = 1;
  state.kv_heads = 2;
  state.head_width = 4;
  state.value_width = 3;
  state.kv_bits = kv_bits;
  return KvLayout(state);
}

void read(Bytes file, uint32_t kv_bits) {
  const KvLayout layout = layout_of(kv_bits);
  const lockstep::store::PrefixIdentity identity{{}, layout.canonical_position_bytes()};
  try {
    const auto head = lockstep::store::read_prefix_head(file, identity, "input");
    const auto block = lockstep::store::read_prefix(file, identity, "input");
    if (head.count != block.count || head.storage != block.storage) std::abort();
    std::vector<std::byte> page(layout.page_bytes());
    from_canonical(layout, block.payload, block.count, page);
    std::vector<std::byte> again(lockstep::store::prefix_file_bytes(identity, block.count));
    write_prefix_head(identity, block.parent, block.tokens(), again);
    to_canonical(
        layout, page, block.count,
        std::span(again).subspan(lockstep::store::prefix_payload_offset(block.count), block.payload.size()));
    lockstep::store::seal_prefix(again);
    if (!std::equal(again.begin(), again.end(), file.begin(), file.end())) std::abort();
    const std::string name = lockstep::store::prefix_name(block.parent, block.tokens());
    if (lockstep::store::token_digits_of(name) != lockstep::store::prefix_token_digits(block.tokens())) {
      std::abort();
    }
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::User) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes{reinterpret_cast<const std::byte*>(data), size};
  if (const auto digits = lockstep::store::token_digits_of(lockstep::as_text(bytes))) {
    if (digits->empty() || digits->size() > lockstep::store::kPrefixTokensMax) std::abort();
  }
  std::vector<std::byte> sealed(bytes.begin(), bytes.end());
  if (sealed.size() >= sizeof(lockstep::Hash128)) lockstep::store::seal_prefix(sealed);
  for (uint32_t kv_bits : {16u, 8u}) {
    read(bytes, kv_bits);
    read(sealed, kv_bits);
  }
  return 0;
}
