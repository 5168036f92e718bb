// /v1/files: upload, list, look up, delete, download.
#pragma once

#include "server/files/file_store.h"
#include "server/router.h"

namespace lockstep::server {

// `files` must outlive the router.
void add_file_endpoints(Router& router, FileStore& files);

}  // namespace lockstep::server
