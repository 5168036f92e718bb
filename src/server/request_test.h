// What the tests of requests' bodies share.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "server/api_error.h"

namespace lockstep::server {

// The message of the error that a body is refused with, which must be a 400.
template <class Parse>
std::string refusal_by(Parse parse, const std::string& body) {
  try {
    parse(body);
  } catch (const ApiError& error) {
    EXPECT_EQ(400u, error.status()) << body;
    return error.what();
  }
  return "taken: " + body;
}

}  // namespace lockstep::server
