#include "server/openapi/openapi_endpoint.h"

#include "server/openapi/openapi_document.h"

namespace lockstep::server {

void add_openapi_endpoint(Router& router, const ServedModel& model) {
  router.add("GET", "/openapi.json", kAnyone, [text = to_text(openapi_document(model))](Call&) {
    return std::make_unique<http::WholeReply>(http::Head{}, text);
  });
}

}  // namespace lockstep::server
