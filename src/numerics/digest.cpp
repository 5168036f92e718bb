#include "numerics/digest.h"

#include "base/bytes.h"

namespace lockstep::numerics {

Digest::Digest() : chain_(xxh3(lockstep::as_bytes("lockstep digest 1"))) {}

void Digest::token(int32_t id) {
  ByteWriter record;
  record.write('T');
  record.write(id);
  chain_ = xxh3(chain_, record.bytes());
}

void Digest::logits(std::span<const float> values) {
  ByteWriter record;
  record.write('L');
  record.write_bytes(xxh3(std::as_bytes(values)));
  chain_ = xxh3(chain_, record.bytes());
}

std::string Digest::text() const {
  return "xxh3:" + hex(chain_);
}

}  // namespace lockstep::numerics
