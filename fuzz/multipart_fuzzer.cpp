// Reads a line as the header content-type and what follows as a form's body.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "base/error.h"
#include "http/multipart.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view type = text.substr(0, text.find('\n'));
  const std::string_view body = type.size() == size ? std::string_view() : text.substr(type.size() + 1);
  try {
    const char* before = body.data();
    for (const auto& part : lockstep::http::parse_multipart(type, body)) {
      // In their order, without a byte in two of them.
      const char* end = part.body.data() + part.body.size();
      if (std::less<>()(part.body.data(), before) || std::less<>()(body.data() + body.size(), end))
        __builtin_trap();
      if (part.name.empty()) __builtin_trap();
      before = end;
    }
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::User) __builtin_trap();
  }
  return 0;
}
