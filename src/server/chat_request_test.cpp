#include "server/chat_request.h"

#include <gtest/gtest.h>
TEST(ChatRequest, Placeholder) {}
