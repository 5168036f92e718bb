// Text from a file, made fit for a message.
#pragma once

#include <string>
#include <string_view>

namespace lockstep {

// `text` with control characters, backslashes and everything that is not valid UTF-8 written as \xNN, and cut
// after about 80 bytes with "...".
std::string printable(std::string_view text);

}  // namespace lockstep
