#include "base/blake2b_lanes.h"

#include <algorithm>
#include <cstring>

#include "base/cpu_features.h"
#include "base/error.h"

namespace lockstep {

#if defined(__x86_64__)
namespace {

// RFC 7693, sections 2.6 and 2.7.
constexpr uint64_t kInitial[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                  0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                  0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
constexpr uint8_t kSigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};
constexpr int kRounds = 12;
constexpr uint64_t kBlockBytes = 128;
// Digest of 32 bytes, no key, fanout and depth 1.
constexpr uint64_t kParameters = 0x01010000 ^ 32;

typedef uint64_t Lanes4 __attribute__((vector_size(32)));
typedef uint64_t Lanes8 __attribute__((vector_size(64)));

#define LOCKSTEP_INLINE inline __attribute__((always_inline))

template <int kBits, class V>
LOCKSTEP_INLINE void xor_rotate_right(V& x, const V& y) {
  x ^= y;
  x = (x >> kBits) | (x << (64 - kBits));
}

template <class V>
LOCKSTEP_INLINE void mix(V* v, int a, int b, int c, int d, const V& x, const V& y) {
  v[a] += v[b] + x;
  xor_rotate_right<32>(v[d], v[a]);
  v[c] += v[d];
  xor_rotate_right<24>(v[b], v[c]);
  v[a] += v[b] + y;
  xor_rotate_right<16>(v[d], v[a]);
  v[c] += v[d];
  xor_rotate_right<63>(v[b], v[c]);
}

// One block of every lane. `counted` are the bytes of a message up to the block's end.
template <class V>
LOCKSTEP_INLINE void compress(V* h, const std::byte* const* blocks, uint64_t counted, bool last) {
  constexpr int kLanes = sizeof(V) / sizeof(uint64_t);
  V m[16], v[16];
  for (int word = 0; word < 16; ++word) {
    for (int lane = 0; lane < kLanes; ++lane) {
      uint64_t value;
      std::memcpy(&value, blocks[lane] + word * sizeof(value), sizeof(value));
      m[word][lane] = value;
    }
  }
  for (int i = 0; i < 8; ++i) {
    v[i] = h[i];
    v[i + 8] = V{} + kInitial[i];
  }
  v[12] ^= counted;
  if (last) v[14] = ~v[14];
#pragma GCC unroll 12
  for (int round = 0; round < kRounds; ++round) {
    const uint8_t* s = kSigma[round % 10];
    mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
    mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
    mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
    mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
    mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
    mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
    mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
    mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
  }
  for (int i = 0; i < 8; ++i) h[i] ^= v[i] ^ v[i + 8];
}

// As many messages as V has lanes, each of `bytes` bytes.
template <class V>
LOCKSTEP_INLINE void hash_lanes(const Bytes* messages, uint64_t bytes, Hash256* hashes) {
  constexpr int kLanes = sizeof(V) / sizeof(uint64_t);
  V h[8];
  for (int i = 0; i < 8; ++i) h[i] = V{} + kInitial[i];
  h[0] ^= kParameters;
  const std::byte* blocks[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) blocks[lane] = messages[lane].data();
  uint64_t left = bytes;
  for (; left > kBlockBytes; left -= kBlockBytes) {
    compress(h, blocks, bytes - left + kBlockBytes, false);
    for (const std::byte*& block : blocks) block += kBlockBytes;
  }
  // The last block of a message is filled up with zeros.
  std::byte padded[kLanes][kBlockBytes] = {};
  for (int lane = 0; lane < kLanes; ++lane) {
    if (left != 0) std::memcpy(padded[lane], blocks[lane], left);
    blocks[lane] = padded[lane];
  }
  compress(h, blocks, bytes, true);
  for (int lane = 0; lane < kLanes; ++lane) {
    uint64_t words[4];
    for (int i = 0; i < 4; ++i) words[i] = h[i][lane];
    std::memcpy(hashes[lane].data(), words, sizeof(words));
  }
}

__attribute__((target("avx512f"))) void hash_8(const Bytes* messages, uint64_t bytes, Hash256* hashes) {
  hash_lanes<Lanes8>(messages, bytes, hashes);
}

__attribute__((target("avx2"))) void hash_4(const Bytes* messages, uint64_t bytes, Hash256* hashes) {
  hash_lanes<Lanes4>(messages, bytes, hashes);
}

}  // namespace
#endif

void blake2b_lanes(std::span<const Bytes> messages, std::span<Hash256> hashes) {
  LOCKSTEP_CHECK(messages.size() <= kBlake2bLanes && hashes.size() == messages.size());
#if defined(__x86_64__)
  const bool equal = std::all_of(messages.begin(), messages.end(),
                                 [&](Bytes message) { return message.size() == messages[0].size(); });
  if (messages.size() == kBlake2bLanes && equal) {
    if (cpu_features().avx512_vnni) return hash_8(messages.data(), messages[0].size(), hashes.data());
    if (cpu_features().avx2) {
      hash_4(messages.data(), messages[0].size(), hashes.data());
      return hash_4(messages.data() + 4, messages[0].size(), hashes.data() + 4);
    }
  }
#endif
  std::transform(messages.begin(), messages.end(), hashes.begin(), blake2b);
}

}  // namespace lockstep
