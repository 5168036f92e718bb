// The published document says which endpoints there are.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "server/json_reply.h"
#include "small_service.h"

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
  SmallService small;
  const http::Request request = {.id = "req_1", .method = "GET", .target = "/openapi.json"};
  const http::Piece piece = small.service.answer(request, {})->next();
  ASSERT_TRUE(piece.last);
  const auto document = server::ReplyJson::parse(piece.body);
  EXPECT_EQ(endpoints_of(small.service.routes()), endpoints_of(document));
  EXPECT_EQ(std::vector<std::string>{"small"}, document["components"]["schemas"]["Model"]["enum"]);
}

}  // namespace
}  // namespace lockstep::tests
