// Writes small GGUF files for tests, right ones and, on purpose, wrong ones: nothing is checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace lockstep::importer {

// GGUF's numbers for the types of metadata, as far as tests write them.
inline constexpr uint32_t kGgufUint8 = 0, kGgufInt8 = 1, kGgufUint16 = 2, kGgufInt16 = 3, kGgufUint32 = 4,
                          kGgufInt32 = 5, kGgufFloat32 = 6, kGgufBool = 7, kGgufString = 8, kGgufArray = 9,
                          kGgufUint64 = 10, kGgufInt64 = 11, kGgufFloat64 = 12;

struct GgufTestTensor {
  std::string name;
  uint32_t type = 0;
  std::vector<uint64_t> shape;
  std::vector<std::byte> bytes;
  std::optional<uint64_t> offset = std::nullopt;  // instead of the place where the bytes are written
};

class GgufTestWriter {
 public:
  uint32_t version = 3;
  uint64_t alignment = 32;  // of the file's layout; add("general.alignment", ...) says it in the metadata
  std::vector<GgufTestTensor> tensors;

  template <class T>
  void add(std::string_view key, uint32_t type, T value) {
    start_value(key, type);
    metadata_.write<T>(value);
  }
  void add_text(std::string_view key, std::string_view value) {
    start_value(key, kGgufString);
    metadata_.write_string(value);
  }
  template <class T>
  void add_list(std::string_view key, uint32_t type, const std::vector<T>& values) {
    start_list(key, type, values.size());
    for (T value : values) metadata_.write<T>(value);
  }
  void add_texts(std::string_view key, const std::vector<std::string>& values) {
    start_list(key, kGgufString, values.size());
    for (const std::string& value : values) metadata_.write_string(value);
  }
  // The head of a list alone, for lists that announce what they do not hold.
  void start_list(std::string_view key, uint32_t type, uint64_t count) {
    start_value(key, kGgufArray);
    metadata_.write<uint32_t>(type);
    metadata_.write<uint64_t>(count);
  }

  std::vector<std::byte> build() const {
    ByteWriter writer;
    writer.write_bytes(as_bytes("GGUF"));
    writer.write<uint32_t>(version);
    writer.write<uint64_t>(tensors.size());
    writer.write<uint64_t>(key_count_);
    writer.write_bytes(metadata_.bytes());
    ByteWriter data;
    for (const GgufTestTensor& tensor : tensors) {
      data.pad_to(alignment);
      writer.write_string(tensor.name);
      writer.write<uint32_t>(static_cast<uint32_t>(tensor.shape.size()));
      for (uint64_t dimension : tensor.shape) writer.write<uint64_t>(dimension);
      writer.write<uint32_t>(tensor.type);
      writer.write<uint64_t>(tensor.offset.value_or(data.bytes().size()));
      data.write_bytes(tensor.bytes);
    }
    writer.pad_to(alignment);
    writer.write_bytes(data.bytes());
    return writer.take();
  }

 private:
  void start_value(std::string_view key, uint32_t type) {
    ++key_count_;
    metadata_.write_string(key);
    metadata_.write<uint32_t>(type);
  }

  uint64_t key_count_ = 0;
  ByteWriter metadata_;
};

}  // namespace lockstep::importer
