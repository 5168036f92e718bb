// What the interpreter's unit tests share.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "text/chat_template.h"

namespace lockstep::text {

inline std::string render(const std::string& source,
                          const nlohmann::ordered_json& variables = nlohmann::ordered_json::object(),
                          const RenderOptions& options = {}) {
  return ChatTemplate::parse(source, "the test's template").render(variables, options);
}

// The message of the user's error that parsing or rendering ends with; fails the test if there is none.
inline std::string failure(const std::string& source,
                           const nlohmann::ordered_json& variables = nlohmann::ordered_json::object(),
                           const RenderOptions& options = {}) {
  try {
    std::string text = render(source, variables, options);
    ADD_FAILURE() << "rendered: " << text.substr(0, 200);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User) << error.what();
    return error.what();
  }
  return "";
}

#define EXPECT_FAILS_WITH(source, part) \
  EXPECT_NE(failure(source).find(part), std::string::npos) << failure(source)

}  // namespace lockstep::text
