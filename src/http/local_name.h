// Names by which programs on this machine call it.
#pragma once

#include <string_view>

namespace lockstep::http {

// Of the header Host: an address, localhost, a name below it (RFC 6761, section 6.3), this machine's own, or
// nothing; with a port or without.
bool is_local_name(std::string_view host);

}  // namespace lockstep::http
