#include "http/target.h"

#include <gtest/gtest.h>

namespace lockstep::http {
namespace {

TEST(Target, AnAbsoluteOneIsCutInTwo) {
  const auto cut = [](std::string_view target) {
    const auto absolute = absolute_target(target);
    return absolute ? absolute->host + " " + absolute->target : "none";
  };
  EXPECT_EQ("x /healthz", cut("http://x/healthz"));
  EXPECT_EQ("x:8080 /v1/files?a=http://y/z", cut("HTTP://x:8080/v1/files?a=http://y/z"));
  EXPECT_EQ("[::1]:80 /", cut("https://[::1]:80"));
  EXPECT_EQ("x /?a=b", cut("http://x?a=b"));
  for (const char* other : {"/healthz", "/v1/models/http://x/y", "*", "", "x:80", "ftp://x/y", "http:///y",
                            "http://", "http://me@x/y", "://x/y"}) {
    EXPECT_EQ("none", cut(other)) << other;
  }
}

}  // namespace
}  // namespace lockstep::http
