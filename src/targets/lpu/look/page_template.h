// page.html, compiled in.
#pragma once

#include <string_view>

namespace lockstep::targets::lpu {

std::string_view page_template();

}  // namespace lockstep::targets::lpu
