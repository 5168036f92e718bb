// Secrets of keys: "lsk_", 12 characters that find the key, and 40 that prove it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace lockstep::accounts {

struct Secret {
  std::string text;    // shown once
  std::string prefix;  // "lsk_" and the 12: stored and shown
};

// Letters and digits from the system's source of randomness: 238 bits in the part that proves.
Secret new_secret();
// The part that finds the key; empty if the text cannot be a secret.
std::optional<std::string_view> secret_prefix(std::string_view secret);
// What is stored of it: BLAKE2b-256. No salt and no slow hash, since no list of likely secrets exists.
Hash256 secret_hash(std::string_view secret);
// In a time that does not depend on where they differ.
bool equal_hashes(const Hash256& one, const Hash256& other);
// From lower-case hexadecimal.
Hash256 hash_from_hex(std::string_view text);

}  // namespace lockstep::accounts
