// A conversation at the prompt: lines in, answers out, and the commands that start with a slash.
#pragma once

#include <optional>
#include <string>

#include "cli/chat_partner.h"
#include "cli/conversation.h"
#include "cli/prompt_line.h"

namespace lockstep::cli {

class ChatSession {
 public:
  // The partner must outlive the session.
  ChatSession(ChatPartner& partner, Conversation conversation);

  // Until the input ends, /exit, or a signal that ends the program. A user's error in a turn or a command is
  // shown and the session goes on; where nobody sits at a terminal it makes the exit code 2.
  void run();

 private:
  // Takes one line, perhaps continued by backslashes at line ends. Nothing: the session ends.
  std::optional<std::string> read_input();
  void handle(const std::string& input);
  void command(const std::string& name, const std::string& argument);
  void take_turn(const std::string& text);
  void show_end(const ChatReply& reply);
  void show_system(const std::string& text);

  ChatPartner& partner_;
  DeferredInterrupt interrupt_;
  PromptLine prompt_line_;
  Conversation conversation_;
  bool leaving_ = false;
  bool current_ = false;  // the conversation is as the last turn left it
};

}  // namespace lockstep::cli
