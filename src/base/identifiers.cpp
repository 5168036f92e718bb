#include "base/identifiers.h"

#include <fmt/format.h>

#include <chrono>
#include <random>

namespace lockstep {

namespace {

uint64_t random_bits() {
  thread_local std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

std::chrono::system_clock::duration since_1970() {
  return std::chrono::system_clock::now().time_since_epoch();
}

// The lowest 5 * count bits, the highest first.
void append_base32(std::string& text, uint64_t bits, int count) {
  static constexpr char kDigits[] = "0123456789abcdefghjkmnpqrstvwxyz";
  for (int i = count - 1; i >= 0; --i) text += kDigits[(bits >> (5 * i)) & 31];
}

}  // namespace

std::string new_ulid() {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(since_1970()).count();
  std::string text;
  append_base32(text, static_cast<uint64_t>(milliseconds), 10);
  append_base32(text, random_bits(), 8);
  append_base32(text, random_bits(), 8);
  return text;
}

std::string new_uuid() {
  const uint64_t high = (random_bits() & ~uint64_t{0xf000}) | 0x4000;
  const uint64_t low = (random_bits() & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff,
                     low >> 48, low & 0xffffffffffff);
}

uint64_t new_seed() {
  return random_bits() & 0xffffffff;
}

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(since_1970()).count();
}

}  // namespace lockstep
