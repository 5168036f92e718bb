#include "cli/npy.h"

#include <fmt/ranges.h>

namespace lockstep::cli {

NpyWriter::NpyWriter(const std::string& path, const std::vector<uint64_t>& shape) : file_(path) {
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", fmt::join(shape, ", "));
  // Magic, version and length take 10 bytes; the header is padded to 64 and ends with a newline.
  const size_t padded = (10 + header.size() + 1 + 63) / 64 * 64;
  header.append(padded - 10 - header.size() - 1, ' ');
  header.push_back('\n');
  ByteWriter writer;
  writer.write_bytes(lockstep::as_bytes(std::string_view("\x93NUMPY\x01\x00", 8)));
  writer.write<uint16_t>(static_cast<uint16_t>(header.size()));
  writer.write_bytes(lockstep::as_bytes(header));
  file_.append(writer.bytes());
}

void NpyWriter::append(std::span<const float> values) {
  file_.append(std::as_bytes(values));
}

void NpyWriter::commit() {
  file_.commit();
}

}  // namespace lockstep::cli
