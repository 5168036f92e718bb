// A conversation with a model, and the JSON file that keeps it:
//   {"lockstep_chat": 1, "system": TEXT, "messages": [{"role": "user" or "assistant", "content": TEXT}, ...]}
#pragma once

#include <string>
#include <vector>

#include "lockstep/lockstep.h"

namespace lockstep::cli {

struct Message {
  std::string role;  // "user" or "assistant"
  std::string content;
};

struct Conversation {
  std::string system;  // empty: no system message
  std::vector<Message> messages;

  // For the C interface, the system message first. Points into this conversation: valid until it changes.
  std::vector<lockstep_message> c_messages() const;
};

// Throws a user's error if a message's text is not valid UTF-8 or holds a zero byte, at which C strings end;
// `what` names the text.
void check_message_text(std::string_view text, const std::string& what);

// Written whole or not at all.
void write_conversation(const std::string& path, const Conversation& conversation);
// Throws a user's error that names what is missing or of another type.
Conversation read_conversation(const std::string& path);

}  // namespace lockstep::cli
