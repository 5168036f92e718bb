// The console: the page at / and its files under /console/.
#pragma once

#include "server/router.h"

namespace lockstep::server {

void add_console_endpoints(Router& router);

}  // namespace lockstep::server
