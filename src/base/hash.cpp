#include "base/hash.h"

#include <sodium.h>
#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // XXH3 with the widest vectors of the CPU
#endif

namespace lockstep {

std::string hex(Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (std::byte b : bytes) {
    text.push_back(kDigits[std::to_integer<unsigned>(b) >> 4]);
    text.push_back(kDigits[std::to_integer<unsigned>(b) & 15]);
  }
  return text;
}

struct Blake2b::State {
  crypto_generichash_state state;
};

Blake2b::Blake2b() : state_(std::make_unique<State>()) {
  crypto_generichash_init(&state_->state, nullptr, 0, sizeof(Hash256));
}
Blake2b::~Blake2b() = default;

void Blake2b::update(Bytes bytes) {
  crypto_generichash_update(&state_->state, reinterpret_cast<const unsigned char*>(bytes.data()),
                            bytes.size());
}

Hash256 Blake2b::finish() {
  Hash256 hash;
  crypto_generichash_final(&state_->state, reinterpret_cast<unsigned char*>(hash.data()), hash.size());
  return hash;
}

Hash256 blake2b(Bytes bytes) {
  Blake2b hasher;
  hasher.update(bytes);
  return hasher.finish();
}

Hash256 blake2b_chain(const Hash256& before, Bytes link) {
  Blake2b hasher;
  hasher.update(before);
  hasher.update(link);
  return hasher.finish();
}

namespace {
Hash128 canonical(XXH128_hash_t value) {
  XXH128_canonical_t canonical_form;
  XXH128_canonicalFromHash(&canonical_form, value);
  Hash128 hash;
  std::memcpy(hash.data(), canonical_form.digest, hash.size());
  return hash;
}
}  // namespace

Hash128 xxh3(Bytes bytes) {
  return canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

Hash128 xxh3(Bytes first, Bytes second) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_128bits_reset(state);
  XXH3_128bits_update(state, first.data(), first.size());
  XXH3_128bits_update(state, second.data(), second.size());
  Hash128 hash = canonical(XXH3_128bits_digest(state));
  XXH3_freeState(state);
  return hash;
}

}  // namespace lockstep
