// The formats of strings that JSON Schema names, as patterns.
#pragma once

#include <string>
#include <string_view>

namespace lockstep::grammar {

// A pattern whose texts are all of the format; null: none that is known. RFC 3339's date-time, date, time and
// duration (years from 0001, no leap second, up to 6 digits of a second), uuid and uuid1 to uuid8 (RFC 9562),
// ipv4, ipv6 (RFC 4291 without the mixed form), ipvanyaddress (both), hostname (RFC 1123, labels of letters,
// digits and single hyphens), email (such a host, letters, digits and `.`, `-`, `_`, `+`), uri (RFC 3986,
// with
// `//` and a host), base64 and base64url (RFC 4648). What readers of the formats disagree about is left out.
// binary, password and path say nothing about a text.
const std::string* format_pattern(std::string_view format);
// The formats' names, with commas.
const std::string& format_names();

}  // namespace lockstep::grammar
