// GGUF from arbitrary bytes: the parser may refuse with a user's error and nothing else; what it accepts must
// decode, and both ways of decoding must agree.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "import/gguf.h"

namespace {

using lockstep::numerics::Tensor;
using lockstep::numerics::TensorTypeInfo;

void decode_first_row(const Tensor& tensor) {
  const TensorTypeInfo& info = lockstep::numerics::tensor_type_info(tensor.type);
  std::vector<double> values(tensor.columns());
  decode_row(tensor.type, tensor.row(0), values);
  if (info.code_bits == 0) return;
  lockstep::numerics::GroupCodeRow code;
  decode_group_code_row(tensor.type, tensor.row(0), tensor.columns(), code);
  for (uint64_t k = 0; k < values.size(); ++k) {
    const double d = code.d[k / info.group_columns];
    const double c = code.c[k / info.group_columns];
    if (!std::isfinite(d) || !std::isfinite(c)) continue;
    if (code.q[k] >> info.code_bits != 0) std::abort();
    if (d * (code.q[k] - (1 << (info.code_bits - 1))) + c != values[k]) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const lockstep::Bytes bytes{reinterpret_cast<const std::byte*>(data), size};
    const lockstep::importer::Checkpoint checkpoint = lockstep::importer::parse_gguf(bytes, "input");
    for (const Tensor& tensor : checkpoint.tensors) decode_first_row(tensor);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::User) std::abort();
  }
  return 0;
}
