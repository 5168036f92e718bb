#include "import/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "base/printable.h"
#include "import/file_kind.h"

namespace lockstep::importer {
namespace {

using numerics::Tensor;
using numerics::TensorTypeInfo;

constexpr std::string_view kMagic = "GGUF";
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMaxAlignment = uint64_t{1} << 30;
constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kMaxNameBytes = 65535;                 // of a key or a tensor's name
constexpr uint64_t kMaxTextBytes = uint64_t{1} << 26;     // of one metadata text
constexpr uint64_t kMaxListElements = uint64_t{1} << 24;  // of one metadata list
constexpr uint64_t kMaxTensors = uint64_t{1} << 20;
constexpr uint64_t kLeastKeyValueBytes = 8 + 4 + 1;        // an empty key, its type, a byte
constexpr uint64_t kLeastTensorBytes = 8 + 4 + 8 + 4 + 8;  // an empty name, one dimension, type, offset

// GGUF's numbers for the types of metadata.
enum class ValueType : uint32_t {
  Uint8,
  Int8,
  Uint16,
  Int16,
  Uint32,
  Int32,
  Float32,
  Bool,
  String,
  Array,
  Uint64,
  Int64,
  Float64,
};

// ggml's tensor types that are not read, for the message that says so.
constexpr std::array<std::pair<uint32_t, const char*>, 19> kOtherTensorTypes = {{
    {9, "Q8_1"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"},
    {19, "IQ1_S"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {24, "I8"},     {25, "I16"},
    {26, "I32"},   {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},  {34, "TQ1_0"},
    {35, "TQ2_0"}, {39, "MXFP4"}, {40, "NVFP4"},   {41, "Q1_0"},
}};

std::string other_tensor_type_name(uint32_t number) {
  for (const auto& [other, name] : kOtherTensorTypes) {
    if (other == number) return name;
  }
  return fmt::format("type {}, which is unknown", number);
}

std::string readable_tensor_types() {
  std::string names;
  for (const TensorTypeInfo& info : numerics::tensor_types()) {
    if (!names.empty()) names += ", ";
    names += info.name;
  }
  return names;
}

// One file's parse, from its first byte to the placing of its tensors. Used once.
class GgufParser {
 public:
  GgufParser(Bytes bytes, std::string what) : bytes_(bytes), reader_(bytes, what) {
    checkpoint_.metadata = Metadata(std::move(what));
  }

  Checkpoint parse() {
    read_version();
    const uint64_t tensor_count = reader_.read_count(kLeastTensorBytes);
    if (tensor_count > kMaxTensors) {
      user_error("{}: {} tensors announced, where {} is the most", what(), tensor_count, kMaxTensors);
    }
    const uint64_t key_count = reader_.read_count(kLeastKeyValueBytes);
    for (uint64_t i = 0; i < key_count; ++i) read_key_value();
    refuse_split_file();
    read_alignment();
    checkpoint_.tensors.reserve(tensor_count);
    for (uint64_t i = 0; i < tensor_count; ++i) read_tensor();
    place_tensors();
    return std::move(checkpoint_);
  }

 private:
  // Where a tensor's bytes lie: relative to the data section when read, in the file once placed.
  struct Extent {
    uint64_t begin;
    uint64_t size;
    size_t tensor;
  };

  const std::string& what() const { return reader_.what(); }

  void read_version() {
    if (bytes_.size() < kMagic.size() || as_text(bytes_.first(kMagic.size())) != kMagic) {
      user_error("{} is no GGUF file; it looks like {}", what(), file_kind(bytes_));
    }
    reader_.take(kMagic.size());
    const uint32_t version = reader_.read<uint32_t>();
    if (version != 0 && (version & 0xffff) == 0) {
      user_error("{} is a big-endian GGUF file; convert it to little-endian, which Lockstep reads", what());
    }
    if (version == 1) {
      user_error("{} is GGUF version 1, of 2023; convert the model anew to get version 3", what());
    }
    if (version != 2 && version != 3) {
      user_error("{} is GGUF version {}; versions 2 and 3 can be read", what(), version);
    }
  }

  // A view of a text after its 64-bit length, at most `limit` bytes.
  std::string_view read_text(uint64_t limit) {
    const uint64_t offset = reader_.offset();
    const uint64_t length = reader_.read<uint64_t>();
    if (length > limit && length <= reader_.remaining()) {
      user_error("{}: damaged at byte {}: a text of {} bytes, where {} is the most", what(), offset, length,
                 limit);
    }
    return as_text(reader_.take(length));
  }

  bool read_bool(std::string_view key) {
    const uint8_t value = reader_.read<uint8_t>();
    if (value > 1)
      user_error("{}: metadata \"{}\" is the truth value {}, not 0 or 1", what(), printable(key), value);
    return value != 0;
  }

  void read_key_value() {
    const std::string_view key = read_text(kMaxNameBytes);
    const uint32_t type = reader_.read<uint32_t>();
    MetadataValue value =
        static_cast<ValueType>(type) == ValueType::Array ? read_list(key) : read_scalar(key, type);
    if (!checkpoint_.metadata.insert(std::string(key), std::move(value))) {
      user_error("{}: metadata \"{}\" is given twice; the file is damaged", what(), printable(key));
    }
  }

  MetadataValue read_scalar(std::string_view key, uint32_t type) {
    switch (static_cast<ValueType>(type)) {
      case ValueType::Uint8:
        return uint64_t{reader_.read<uint8_t>()};
      case ValueType::Int8:
        return int64_t{reader_.read<int8_t>()};
      case ValueType::Uint16:
        return uint64_t{reader_.read<uint16_t>()};
      case ValueType::Int16:
        return int64_t{reader_.read<int16_t>()};
      case ValueType::Uint32:
        return uint64_t{reader_.read<uint32_t>()};
      case ValueType::Int32:
        return int64_t{reader_.read<int32_t>()};
      case ValueType::Uint64:
        return reader_.read<uint64_t>();
      case ValueType::Int64:
        return reader_.read<int64_t>();
      case ValueType::Float32:
        return double{reader_.read<float>()};
      case ValueType::Float64:
        return reader_.read<double>();
      case ValueType::Bool:
        return read_bool(key);
      case ValueType::String:
        return std::string(read_text(kMaxTextBytes));
      default:
        user_error("{}: metadata \"{}\" has type {}; GGUF has types 0 to 12", what(), printable(key), type);
    }
  }

  MetadataValue read_list(std::string_view key) {
    const uint32_t type = reader_.read<uint32_t>();
    switch (static_cast<ValueType>(type)) {
      case ValueType::Uint8:
        return read_numbers<uint8_t, uint64_t>(key);
      case ValueType::Int8:
        return read_numbers<int8_t, int64_t>(key);
      case ValueType::Uint16:
        return read_numbers<uint16_t, uint64_t>(key);
      case ValueType::Int16:
        return read_numbers<int16_t, int64_t>(key);
      case ValueType::Uint32:
        return read_numbers<uint32_t, uint64_t>(key);
      case ValueType::Int32:
        return read_numbers<int32_t, int64_t>(key);
      case ValueType::Uint64:
        return read_numbers<uint64_t, uint64_t>(key);
      case ValueType::Int64:
        return read_numbers<int64_t, int64_t>(key);
      case ValueType::Float32:
        return read_numbers<float, double>(key);
      case ValueType::Float64:
        return read_numbers<double, double>(key);
      case ValueType::Bool:
        return read_bools(key);
      case ValueType::String:
        return read_texts(key);
      case ValueType::Array:
        user_error("{}: metadata \"{}\" is a list of lists, which Lockstep does not read", what(),
                   printable(key));
      default:
        user_error("{}: metadata \"{}\" is a list of type {}; GGUF has types 0 to 12", what(), printable(key),
                   type);
    }
  }

  uint64_t read_list_size(std::string_view key, uint64_t element_bytes) {
    const uint64_t count = reader_.read_count(element_bytes);
    if (count > kMaxListElements) {
      user_error("{}: metadata \"{}\" is a list of {} elements, where {} is the most", what(), printable(key),
                 count, kMaxListElements);
    }
    return count;
  }

  template <class Stored, class Value>
  std::vector<Value> read_numbers(std::string_view key) {
    const uint64_t count = read_list_size(key, sizeof(Stored));
    const Bytes stored = reader_.take(count * sizeof(Stored));
    std::vector<Value> values(count);
    for (uint64_t i = 0; i < count; ++i) {
      Stored value;
      std::memcpy(&value, stored.data() + i * sizeof(Stored), sizeof(Stored));
      values[i] = value;
    }
    return values;
  }

  std::vector<bool> read_bools(std::string_view key) {
    std::vector<bool> values(read_list_size(key, 1));
    for (size_t i = 0; i < values.size(); ++i) values[i] = read_bool(key);
    return values;
  }

  std::vector<std::string> read_texts(std::string_view key) {
    const uint64_t count = read_list_size(key, sizeof(uint64_t));
    std::vector<std::string> values;
    values.reserve(count);
    for (uint64_t i = 0; i < count; ++i) values.emplace_back(read_text(kMaxTextBytes));
    return values;
  }

  void refuse_split_file() {
    const uint64_t parts = checkpoint_.metadata.find_uint("split.count").value_or(1);
    if (parts > 1) {
      user_error("{} is one of {} parts of a model; join them with llama-gguf-split --merge first", what(),
                 parts);
    }
  }

  void read_alignment() {
    alignment_ = checkpoint_.metadata.find_uint("general.alignment").value_or(kDefaultAlignment);
    if (!std::has_single_bit(alignment_) || alignment_ > kMaxAlignment) {
      user_error("{}: general.alignment is {}; a power of two up to 2^30 is wanted", what(), alignment_);
    }
  }

  void read_tensor() {
    const std::string_view name = read_text(kMaxNameBytes);
    if (!names_.insert(name).second) {
      user_error("{}: tensor {} is given twice; the file is damaged", what(), printable(name));
    }
    Tensor tensor;
    tensor.name = std::string(name);
    read_shape(tensor);
    const TensorTypeInfo& info = read_type(tensor);
    tensor.type = info.type;
    const uint64_t size = tensor_bytes(tensor, info);
    const uint64_t offset = reader_.read<uint64_t>();
    if (offset % alignment_ != 0) {
      user_error("{}: tensor {} starts at offset {}, which is no multiple of the file's alignment, {}",
                 what(), printable(name), offset, alignment_);
    }
    extents_.push_back({offset, size, checkpoint_.tensors.size()});
    checkpoint_.tensors.push_back(std::move(tensor));
  }

  void read_shape(Tensor& tensor) {
    const uint32_t dimensions = reader_.read<uint32_t>();
    if (dimensions < 1 || dimensions > kMaxDimensions) {
      user_error("{}: tensor {} has {} dimensions; 1 to {} are wanted", what(), printable(tensor.name),
                 dimensions, kMaxDimensions);
    }
    for (uint32_t i = 0; i < dimensions; ++i) {
      tensor.shape.push_back(reader_.read<uint64_t>());
      if (tensor.shape.back() == 0) {
        user_error("{}: tensor {} has a dimension of 0; the file is damaged", what(), printable(tensor.name));
      }
    }
  }

  const TensorTypeInfo& read_type(const Tensor& tensor) {
    const uint32_t number = reader_.read<uint32_t>();
    const TensorTypeInfo* info = numerics::find_tensor_type(number);
    if (info == nullptr) {
      user_error("{}: {} is stored as {}, which Lockstep does not read; types it reads: {}", what(),
                 printable(tensor.name), other_tensor_type_name(number), readable_tensor_types());
    }
    return *info;
  }

  uint64_t tensor_bytes(const Tensor& tensor, const TensorTypeInfo& info) {
    const uint64_t columns = tensor.columns();
    if (columns % info.block_elements != 0) {
      user_error("{}: tensor {} has {} columns, no multiple of the {} elements in a block of {}", what(),
                 printable(tensor.name), columns, info.block_elements, info.name);
    }
    uint64_t size = 0;
    bool overflow = __builtin_mul_overflow(columns / info.block_elements, info.block_bytes, &size);
    for (size_t i = 1; i < tensor.shape.size(); ++i)
      overflow |= __builtin_mul_overflow(size, tensor.shape[i], &size);
    if (overflow) {
      user_error("{}: tensor {} of {} is larger than 2^64 bytes; the file is damaged", what(),
                 printable(tensor.name), fmt::join(tensor.shape, " x "));
    }
    return size;
  }

  // Gives every tensor its bytes, once none runs past the end or into another.
  void place_tensors() {
    const uint64_t data_begin = (reader_.offset() + alignment_ - 1) & ~(alignment_ - 1);
    std::sort(extents_.begin(), extents_.end(),
              [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
    for (size_t i = 0; i < extents_.size(); ++i) {
      Extent& extent = extents_[i];
      Tensor& tensor = checkpoint_.tensors[extent.tensor];
      uint64_t end = 0;
      if (__builtin_add_overflow(extent.begin, data_begin, &extent.begin) ||
          __builtin_add_overflow(extent.begin, extent.size, &end)) {
        user_error("{}: tensor {} ends beyond 2^64 bytes; the file is damaged", what(),
                   printable(tensor.name));
      }
      if (end > bytes_.size()) {
        user_error(
            "{} ends at byte {}, but tensor {} needs bytes up to {}: the download was probably cut off",
            what(), bytes_.size(), printable(tensor.name), end);
      }
      if (i > 0 && extents_[i - 1].begin + extents_[i - 1].size > extent.begin) {
        user_error("{}: tensors {} and {} overlap; the file is damaged", what(),
                   printable(checkpoint_.tensors[extents_[i - 1].tensor].name), printable(tensor.name));
      }
      tensor.bytes = bytes_.subspan(extent.begin, extent.size);
    }
  }

  Bytes bytes_;
  ByteReader reader_;
  Checkpoint checkpoint_;
  uint64_t alignment_ = kDefaultAlignment;
  std::unordered_set<std::string_view> names_;
  std::vector<Extent> extents_;
};

}  // namespace

Checkpoint read_gguf(const std::filesystem::path& path) {
  MappedFile file(path);
  Checkpoint checkpoint = parse_gguf(file.bytes(), path.string());
  checkpoint.file = std::move(file);
  return checkpoint;
}

Checkpoint parse_gguf(Bytes bytes, std::string what) {
  return GgufParser(bytes, std::move(what)).parse();
}

}  // namespace lockstep::importer
