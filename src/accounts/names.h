// What organisations, projects, members and keys may be called.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lockstep::accounts {

inline constexpr size_t kNameBytes_max = 200;

// Whether a text is a name: UTF-8 of 1 to kNameBytes_max bytes without control characters.
bool is_name(std::string_view text);

// Throws AccessError, Invalid, for what is no name. `what` has it: "a project".
void check_name(const std::string& name, std::string_view what);

}  // namespace lockstep::accounts
