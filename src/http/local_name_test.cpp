#include "http/local_name.h"

#include <gtest/gtest.h>

#include <boost/asio/ip/host_name.hpp>

namespace lockstep::http {
namespace {

TEST(LocalName, IsWhatNoOneElseCanMakeMeanThisMachine) {
  for (const char* host : {"", "127.0.0.1", "127.0.0.1:8080", "192.168.1.7:80", "[::1]", "[::1]:8080",
                           "localhost", "LocalHost:8080", "lockstep.localhost:1"}) {
    EXPECT_TRUE(is_local_name(host)) << host;
  }
  EXPECT_TRUE(is_local_name(boost::asio::ip::host_name() + ":8080"));
  for (const char* host :
       {"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example",
        "evillocalhost", "[evil.example]:80", "127.0.0.1@evil.example", " localhost"}) {
    EXPECT_FALSE(is_local_name(host)) << host;
  }
}

}  // namespace
}  // namespace lockstep::http
