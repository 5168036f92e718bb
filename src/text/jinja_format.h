// Python's two ways of formatting strings: '%s of %d' % (a, b) and '{} of {}'.format(a, b).
#pragma once

#include <string>

#include "text/jinja_operators.h"

namespace lockstep::text::jinja {

// `values` is a tuple of values, a dict for %(name)s, or the one value.
Value format_percent(CallContext& context, const std::string& format, const Value& values);

// Fields {}, {0}, {name}, with .attribute and [item] parts, !s and !r, and the usual format specifications
// (fill, alignment, sign, #, 0, width, comma, precision, type), without fields inside a specification.
Value format_braces(CallContext& context, const std::string& format, Arguments& arguments);

}  // namespace lockstep::text::jinja
