#include "import/file_kind.h"

#include <algorithm>
#include <string_view>

namespace lockstep::importer {
namespace {

struct Signature {
  std::string_view start;
  const char* kind;
};

// Longer and stricter signatures first.
constexpr Signature kSignatures[] = {
    {"version https://git-lfs", "a Git LFS pointer (the model itself was not fetched)"},
    {"<!DOCTYPE", "a web page (the download probably failed)"},
    {"<!doctype", "a web page (the download probably failed)"},
    {"<html", "a web page (the download probably failed)"},
    {"\x7f"
     "ELF",
     "a program or library"},
    {"PK\x03\x04", "a zip archive (a PyTorch checkpoint is one too)"},
    {"\x1f\x8b", "a gzip archive"},
    {"\x28\xb5\x2f\xfd", "a zstd archive"},
    {"\xfd"
     "7zXZ",
     "an xz archive"},
    {"\x80\x02", "a Python pickle"},
    {"\x89HDF", "an HDF5 file"},
    {"lmgg", "a GGML file, the format before GGUF"},
    {"fmgg", "a GGMF file, a format before GGUF"},
    {"tjgg", "a GGJT file, the format before GGUF"},
    {"{", "JSON"},
};

// A safetensors file starts with the length of its JSON header.
bool is_safetensors(Bytes bytes) {
  if (bytes.size() < 9) return false;
  uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  return header_bytes >= 2 && header_bytes <= bytes.size() - 8 && bytes[8] == std::byte{'{'};
}

bool is_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\r' || c == '\t'; });
}

}  // namespace

std::string file_kind(Bytes bytes) {
  if (bytes.empty()) return "an empty file";
  const std::string_view start = as_text(bytes.first(std::min<size_t>(bytes.size(), 256)));
  if (is_safetensors(bytes)) return "a safetensors file";
  for (const Signature& signature : kSignatures) {
    if (start.starts_with(signature.start)) return signature.kind;
  }
  if (std::all_of(start.begin(), start.end(), [](char c) { return c == 0; })) return "zeros";
  return is_text(start) ? "text" : "something else";
}

}  // namespace lockstep::importer
