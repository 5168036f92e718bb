#include "accounts/names.h"

#include <algorithm>

#include "accounts/access_error.h"
#include "base/printable.h"

namespace lockstep::accounts {

bool is_name(std::string_view text) {
  const bool plain = std::none_of(text.begin(), text.end(),
                                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return !text.empty() && text.size() <= kNameBytes_max && plain && is_utf8(text);
}

void check_name(const std::string& name, std::string_view what) {
  if (!is_name(name)) {
    refuse(Reason::Invalid, "'name' : the name of {} is 1 to {} bytes of text without control characters.",
           what, kNameBytes_max);
  }
}

}  // namespace lockstep::accounts
