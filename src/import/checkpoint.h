// A model file after its parser: metadata and tensors as the file holds them, checked.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/file.h"
#include "numerics/tensor.h"

namespace lockstep::importer {

using MetadataValue =
    std::variant<uint64_t, int64_t, double, bool, std::string, std::vector<uint64_t>, std::vector<int64_t>,
                 std::vector<double>, std::vector<bool>, std::vector<std::string>>;

// Keys and values of a file. All getters throw a user's error that names file and key when a value is there
// but of another type; those named find_ give nothing where the key is missing, those named require_ throw.
// Integers of either sign convert where they fit, and integers serve as floats.
class Metadata {
 public:
  using Values = std::map<std::string, MetadataValue, std::less<>>;

  Metadata() = default;
  // `source` names the file in messages.
  explicit Metadata(std::string source) : source_(std::move(source)) {}

  // False, and nothing changed, where the key is already there.
  bool insert(std::string key, MetadataValue value);

  bool contains(std::string_view key) const { return values_.find(key) != values_.end(); }
  const Values& values() const { return values_; }
  const std::string& source() const { return source_; }

  std::optional<uint64_t> find_uint(std::string_view key) const;
  std::optional<int64_t> find_int(std::string_view key) const;
  std::optional<double> find_float(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;
  std::optional<std::string> find_string(std::string_view key) const;
  std::optional<std::vector<int64_t>> find_ints(std::string_view key) const;
  std::optional<std::vector<double>> find_floats(std::string_view key) const;
  std::optional<std::vector<bool>> find_bools(std::string_view key) const;
  // A pointer into this object, nullptr where the key is missing: vocabularies are not copied.
  const std::vector<std::string>* find_strings(std::string_view key) const;

  uint64_t require_uint(std::string_view key) const;
  int64_t require_int(std::string_view key) const;
  double require_float(std::string_view key) const;
  bool require_bool(std::string_view key) const;
  std::string require_string(std::string_view key) const;
  std::vector<int64_t> require_ints(std::string_view key) const;
  std::vector<double> require_floats(std::string_view key) const;
  const std::vector<std::string>& require_strings(std::string_view key) const;

 private:
  const MetadataValue* find(std::string_view key) const;
  [[noreturn]] void refuse_missing(std::string_view key) const;
  [[noreturn]] void refuse_type(std::string_view key, const MetadataValue& value, const char* wanted) const;
  template <class T>
  T require(std::string_view key, std::optional<T> found) const;

  std::string source_;
  Values values_;
};

// OWNS the file's map, into which the tensors' bytes point; movable. `file` is empty where the bytes belong
// to somebody else, who must then outlive the checkpoint.
struct Checkpoint {
  MappedFile file;
  Metadata metadata;
  std::vector<numerics::Tensor> tensors;  // in the file's order, names unique

  // nullptr where there is no such tensor.
  const numerics::Tensor* find(std::string_view name) const;
};

}  // namespace lockstep::importer
