// The published document says which endpoints there are.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "../diff/small_model.h"
#include "server/api_service.h"
#include "server/json_reply.h"
#include "targets/host/host_target.h"

namespace lockstep::tests {
namespace {

// "GET /v1/models/{model}".
using Endpoints = std::set<std::string>;

Endpoints endpoints_of(const std::vector<server::Route>& routes) {
  Endpoints endpoints;
  for (const server::Route& route : routes) {
    std::string pattern = route.pattern;
    if (const size_t dots = pattern.find("...}"); dots != std::string::npos) pattern.erase(dots, 3);
    endpoints.insert(route.method + " " + pattern);
  }
  return endpoints;
}

Endpoints endpoints_of(const server::ReplyJson& document) {
  Endpoints endpoints;
  for (const auto& [path, written] : document["paths"].items()) {
    server::ReplyJson item = written;
    if (item.contains("$ref")) {
      item = document[server::ReplyJson::json_pointer(item["$ref"].get<std::string>().substr(1))];
    }
    for (const auto& [member, _] : item.items()) {
      if (member == "parameters") continue;
      std::string method = member;
      std::transform(method.begin(), method.end(), method.begin(),
                     [](unsigned char c) { return std::toupper(c); });
      endpoints.insert(method + " " + path);
    }
  }
  return endpoints;
}

TEST(OpenApi, NamesEveryEndpointAndNoOther) {
  const auto model = make_small_model({}, 1.0f);
  const auto target = targets::host::load(model->compiled.program, {"", 1, 64, 64});
  engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary);
  server::ApiService service({.ids = {"small", "other"},
                              .fingerprint = std::string(64, '0'),
                              .engine = engine,
                              .tokenizer = *model->tokenizer},
                             {});
  const http::Piece piece =
      service.answer({.id = "req_1", .method = "GET", .target = "/openapi.json"}, {})->next();
  ASSERT_TRUE(piece.last);
  const auto document = server::ReplyJson::parse(piece.body);
  EXPECT_EQ(endpoints_of(service.routes()), endpoints_of(document));
  EXPECT_EQ((std::vector<std::string>{"small", "other"}), document["components"]["schemas"]["Model"]["enum"]);
}

}  // namespace
}  // namespace lockstep::tests
