#include "import/checkpoint.h"

#include <array>
#include <limits>
#include <utility>

#include "base/printable.h"

namespace lockstep::importer {
namespace {

constexpr uint64_t kLargestInt = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

const char* type_name(const MetadataValue& value) {
  constexpr std::array<const char*, std::variant_size_v<MetadataValue>> kNames = {"an unsigned integer",
                                                                                  "an integer",
                                                                                  "a number",
                                                                                  "a truth value",
                                                                                  "a text",
                                                                                  "a list of integers",
                                                                                  "a list of integers",
                                                                                  "a list of numbers",
                                                                                  "a list of truth values",
                                                                                  "a list of texts"};
  return kNames[value.index()];
}

template <class T>
std::vector<T> copy_as(const auto& values) {
  return std::vector<T>(values.begin(), values.end());
}

}  // namespace

bool Metadata::insert(std::string key, MetadataValue value) {
  return values_.try_emplace(std::move(key), std::move(value)).second;
}

const MetadataValue* Metadata::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

void Metadata::refuse_missing(std::string_view key) const {
  user_error("{}: the metadata has no \"{}\", which this model needs", source_, printable(key));
}

void Metadata::refuse_type(std::string_view key, const MetadataValue& value, const char* wanted) const {
  user_error("{}: the metadata's \"{}\" is {}; {} is wanted", source_, printable(key), type_name(value),
             wanted);
}

std::optional<uint64_t> Metadata::find_uint(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<uint64_t>(value)) return *number;
  const auto* number = std::get_if<int64_t>(value);
  if (number == nullptr) refuse_type(key, *value, "an integer");
  if (*number < 0) {
    user_error("{}: the metadata's \"{}\" is {}; zero or more is wanted", source_, printable(key), *number);
  }
  return static_cast<uint64_t>(*number);
}

std::optional<int64_t> Metadata::find_int(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<int64_t>(value)) return *number;
  const auto* number = std::get_if<uint64_t>(value);
  if (number == nullptr) refuse_type(key, *value, "an integer");
  if (*number > kLargestInt) {
    user_error("{}: the metadata's \"{}\" is {}; below 2^63 is wanted", source_, printable(key), *number);
  }
  return static_cast<int64_t>(*number);
}

std::optional<double> Metadata::find_float(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<double>(value)) return *number;
  if (const auto* number = std::get_if<uint64_t>(value)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<int64_t>(value)) return static_cast<double>(*number);
  refuse_type(key, *value, "a number");
}

std::optional<bool> Metadata::find_bool(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* flag = std::get_if<bool>(value)) return *flag;
  refuse_type(key, *value, "a truth value");
}

std::optional<std::string> Metadata::find_string(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = std::get_if<std::string>(value)) return *text;
  refuse_type(key, *value, "a text");
}

std::optional<std::vector<int64_t>> Metadata::find_ints(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(value)) return *numbers;
  const auto* numbers = std::get_if<std::vector<uint64_t>>(value);
  if (numbers == nullptr) refuse_type(key, *value, "a list of integers");
  for (uint64_t number : *numbers) {
    if (number > kLargestInt) {
      user_error("{}: the metadata's \"{}\" holds {}; below 2^63 is wanted", source_, printable(key), number);
    }
  }
  return copy_as<int64_t>(*numbers);
}

std::optional<std::vector<double>> Metadata::find_floats(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* numbers = std::get_if<std::vector<double>>(value)) return *numbers;
  if (const auto* numbers = std::get_if<std::vector<uint64_t>>(value)) return copy_as<double>(*numbers);
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(value)) return copy_as<double>(*numbers);
  refuse_type(key, *value, "a list of numbers");
}

std::optional<std::vector<bool>> Metadata::find_bools(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* flags = std::get_if<std::vector<bool>>(value)) return *flags;
  refuse_type(key, *value, "a list of truth values");
}

const std::vector<std::string>* Metadata::find_strings(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return nullptr;
  if (const auto* texts = std::get_if<std::vector<std::string>>(value)) return texts;
  refuse_type(key, *value, "a list of texts");
}

template <class T>
T Metadata::require(std::string_view key, std::optional<T> found) const {
  if (!found.has_value()) refuse_missing(key);
  return *std::move(found);
}

uint64_t Metadata::require_uint(std::string_view key) const {
  return require(key, find_uint(key));
}
int64_t Metadata::require_int(std::string_view key) const {
  return require(key, find_int(key));
}
double Metadata::require_float(std::string_view key) const {
  return require(key, find_float(key));
}
bool Metadata::require_bool(std::string_view key) const {
  return require(key, find_bool(key));
}
std::string Metadata::require_string(std::string_view key) const {
  return require(key, find_string(key));
}
std::vector<int64_t> Metadata::require_ints(std::string_view key) const {
  return require(key, find_ints(key));
}
std::vector<double> Metadata::require_floats(std::string_view key) const {
  return require(key, find_floats(key));
}

const std::vector<std::string>& Metadata::require_strings(std::string_view key) const {
  const std::vector<std::string>* found = find_strings(key);
  if (found == nullptr) refuse_missing(key);
  return *found;
}

const numerics::Tensor* Checkpoint::find(std::string_view name) const {
  for (const numerics::Tensor& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

}  // namespace lockstep::importer
