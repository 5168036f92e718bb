#include "accounts/secret.h"

#include <sodium.h>

#include "base/error.h"

namespace lockstep::accounts {
namespace {

constexpr std::string_view kStart = "lsk_";
constexpr std::string_view kCharacters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr size_t kPrefixSize = kStart.size() + 12;
constexpr size_t kSecretSize = kPrefixSize + 40;

}  // namespace

Secret new_secret() {
  LOCKSTEP_CHECK(sodium_init() >= 0);
  Secret secret{std::string(kStart), ""};
  while (secret.text.size() < kSecretSize) {
    secret.text += kCharacters[randombytes_uniform(static_cast<uint32_t>(kCharacters.size()))];
  }
  secret.prefix = secret.text.substr(0, kPrefixSize);
  return secret;
}

std::optional<std::string_view> secret_prefix(std::string_view secret) {
  if (secret.size() != kSecretSize || !secret.starts_with(kStart)) return std::nullopt;
  return secret.substr(0, kPrefixSize);
}

Hash256 secret_hash(std::string_view secret) {
  return blake2b(as_bytes(secret));
}

bool equal_hashes(const Hash256& one, const Hash256& other) {
  return sodium_memcmp(one.data(), other.data(), one.size()) == 0;
}

Hash256 hash_from_hex(std::string_view text) {
  Hash256 hash;
  size_t length = 0;
  const int failed = sodium_hex2bin(reinterpret_cast<unsigned char*>(hash.data()), hash.size(), text.data(),
                                    text.size(), nullptr, &length, nullptr);
  if (failed != 0 || length != hash.size()) internal_error("the hash of a key has the wrong form");
  return hash;
}

}  // namespace lockstep::accounts
