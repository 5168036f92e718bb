// Text from outside: made fit for a message, or checked.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lockstep {

// `text` with control characters and everything that is not valid UTF-8 written as \xNN, and cut after about
// `bytes_max` bytes with "...".
std::string printable(std::string_view text, size_t bytes_max = 80);

// `text` with U+FFFD in place of NUL and of every byte that is not part of well-formed UTF-8, as databases
// want texts.
std::string storable(std::string text);

// Whether all of `text` is well-formed UTF-8.
bool is_utf8(std::string_view text);

}  // namespace lockstep
