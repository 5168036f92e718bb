// What organisations, projects, members and keys may be called.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lockstep::accounts {

inline constexpr size_t kNameBytes_max = 200;

// Throws AccessError, Invalid, for a name that is empty, longer than kNameBytes_max, not UTF-8, or has
// control characters. `what` has it: "project".
void check_name(const std::string& name, std::string_view what);

}  // namespace lockstep::accounts
