// Parses a template into its tree, with Jinja2's grammar: text, {{ }}, {% %}, {# #}, raw, if, for, set,
// macro, call, filter, with, print, break, continue and Hugging Face's generation blocks.
#pragma once

#include <string_view>

#include "text/jinja_ast.h"

namespace lockstep::text::jinja {

// Throws Failure with the line of what is wrong: grammar, unknown filters and tests, nesting deeper than
// kMaximumNesting, statements that need other templates (include, import, extends, block).
Body parse_template(std::string_view source);

}  // namespace lockstep::text::jinja
