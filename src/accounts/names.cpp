#include "accounts/names.h"

#include <algorithm>

#include "accounts/access_error.h"
#include "base/printable.h"

namespace lockstep::accounts {

void check_name(const std::string& name, std::string_view what) {
  const bool plain = std::none_of(name.begin(), name.end(),
                                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (name.empty() || name.size() > kNameBytes_max || !plain || !is_utf8(name)) {
    refuse(Reason::Invalid, "'name' : the name of a {} is 1 to {} bytes of text without control characters.",
           what, kNameBytes_max);
  }
}

}  // namespace lockstep::accounts
