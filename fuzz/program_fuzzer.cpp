// Compiled programs from arbitrary bytes, taken three ways: as they are; with their sizes and hashes made
// right, so that what stands behind the hashes is reached; and as the metadata of a file whose other parts
// are right. The decoder and verifiers may refuse with a user's error and nothing else; what they accept
// prints, and is the same after another encoding.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "program/encode.h"
#include "program/isa/isa.h"
#include "program/print.h"
#include "program/reseal.h"
#include "program/verify.h"

namespace {

using lockstep::Bytes;

constexpr uint64_t kSectionAlignment = 4096, kSectionEntry = 256, kSectionEntryBytes = 96;
constexpr uint64_t kContentsBytes = 1024;  // of the one File memory, index 0, that metadata may declare

void read(Bytes file) {
  try {
    const lockstep::program::Program program = lockstep::program::decode(file, "input");
    const std::vector<std::byte> again = lockstep::program::encode(program);
    if (lockstep::program::print(lockstep::program::decode(again, "again")) !=
        lockstep::program::print(program)) {
      std::abort();
    }
    lockstep::program::verify_flow(program, "input");
    lockstep::program::verify_weights(program, "input");
    lockstep::program::check_leaves(again, "again", 1);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::User) std::abort();
  }
}

void put_section(std::vector<std::byte>& file, uint32_t index, uint32_t kind, uint64_t offset,
                 uint64_t bytes) {
  const uint64_t at = kSectionEntry + index * kSectionEntryBytes;
  lockstep::program::put_at<uint32_t>(file, at, kind);
  lockstep::program::put_at<uint32_t>(file, at + 4, 1);
  lockstep::program::put_at<uint64_t>(file, at + 16, offset);
  lockstep::program::put_at<uint64_t>(file, at + 24, bytes);
}

// A file around metadata, with the bytes of memory 0.
std::vector<std::byte> wrap(Bytes metadata, const lockstep::program::isa::InstructionSet& isa) {
  const uint64_t contents =
      (2 * kSectionAlignment + metadata.size() - 1) / kSectionAlignment * kSectionAlignment;
  std::vector<std::byte> file(contents + kContentsBytes + sizeof(lockstep::Hash256));
  std::memcpy(file.data(), "LOCKSTEP", 8);
  lockstep::program::put_at<uint32_t>(file, 8, lockstep::program::kContainerVersion);
  lockstep::program::put_at<uint32_t>(file, 12, 1);
  std::memcpy(file.data() + 16, isa.name, std::strlen(isa.name));
  lockstep::program::put_at<uint32_t>(file, 32, isa.version);
  lockstep::program::put_at<uint32_t>(file, 36, 2);
  lockstep::program::put_at<uint64_t>(file, 40, kSectionEntry);
  put_section(file, 0, 1, kSectionAlignment, metadata.size());
  put_section(file, 1, 2, contents, kContentsBytes);
  std::copy(metadata.begin(), metadata.end(), file.begin() + kSectionAlignment);
  for (uint64_t i = 0; i < kContentsBytes; ++i) file[contents + i] = static_cast<std::byte>(128);
  lockstep::program::reseal(file);
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes{reinterpret_cast<const std::byte*>(data), size};
  if (lockstep::program::looks_like_program(bytes)) {
    read(bytes);
    std::vector<std::byte> resealed(bytes.begin(), bytes.end());
    lockstep::program::reseal(resealed);
    read(resealed);
    return 0;
  }
  read(bytes);
  read(wrap(bytes, lockstep::program::isa::host()));
  read(wrap(bytes, lockstep::program::isa::lpu()));
  return 0;
}
