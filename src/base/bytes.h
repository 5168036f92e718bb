// Little-endian byte streams with checked bounds: the one way in which the project reads and writes its
// own binary forms. Hosts are little-endian (checked below), so values are copied as they are.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace lockstep {

static_assert(std::endian::native == std::endian::little, "Lockstep runs on little-endian hosts");

using Bytes = std::span<const std::byte>;

// The next multiple of `alignment` at or above `offset`.
constexpr uint64_t align_up(uint64_t offset, uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads values one after another. Every read checks the bytes left and throws a user's error that names
// `what` (a file, a section) and the offset. OWNS nothing: the bytes must outlive the reader.
class ByteReader {
 public:
  ByteReader(Bytes bytes, std::string what) : bytes_(bytes), what_(std::move(what)) {}

  template <class T>
  requires std::is_arithmetic_v<T> T read() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  // A view of the next `count` bytes.
  Bytes take(uint64_t count) {
    if (count > remaining()) {
      user_error("{}: damaged at byte {}: {} bytes wanted, {} left", what_, offset_, count, remaining());
    }
    Bytes view = bytes_.subspan(offset_, count);
    offset_ += count;
    return view;
  }

  // A string after its 64-bit length.
  std::string read_string() { return std::string(as_text(take(read<uint64_t>()))); }

  // A 64-bit element count, refused if that many elements of at least `element_bytes` cannot be left.
  uint64_t read_count(uint64_t element_bytes) {
    uint64_t count = read<uint64_t>();
    if (count > remaining() / element_bytes) {
      user_error("{}: damaged at byte {}: {} elements announced, {} bytes left", what_, offset_, count,
                 remaining());
    }
    return count;
  }

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return bytes_.size() - offset_; }
  const std::string& what() const { return what_; }

 private:
  Bytes bytes_;
  std::string what_;
  uint64_t offset_ = 0;
};

class ByteWriter {
 public:
  template <class T>
  requires std::is_arithmetic_v<T>
  void write(T value) { append(&value, sizeof(T)); }
  void write_string(std::string_view text) {
    write<uint64_t>(text.size());
    append(text.data(), text.size());
  }
  void write_bytes(Bytes bytes) { append(bytes.data(), bytes.size()); }
  void pad_to(uint64_t alignment) { bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment); }

  const std::vector<std::byte>& bytes() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  void append(const void* data, size_t size) {
    const auto* first = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
  }
  std::vector<std::byte> bytes_;
};

}  // namespace lockstep
