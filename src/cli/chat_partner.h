// Who answers in a chat: a model in this process, or one behind a server.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cli/conversation.h"

namespace lockstep::cli {

// What came of asking a partner for an answer.
struct ChatReply {
  std::string text = {};
  bool begun = false;        // there is an answer, perhaps one without text
  bool cancelled = false;    // a signal ended it before its own end
  int signal = 0;            // SIGINT or SIGTERM, when one came meanwhile
  std::string warning = {};  // a sentence for the user, where a limit cut the answer off
};

class ChatPartner {
 public:
  using Show = std::function<void(std::string_view)>;

  virtual ~ChatPartner() = default;
  // In a few words, for the first line of a session.
  virtual std::string description() const = 0;
  // Answers the conversation's last message, and gives new text to `show` as it comes. SIGINT and SIGTERM end
  // the answer, not the process. A user's error tells why there is no answer.
  virtual ChatReply answer(const Conversation& conversation, const Show& show) = 0;
  // Lines about the partner, the conversation and the last answer. `current`: the conversation is as that
  // answer left it.
  virtual std::string statistics(const Conversation& conversation, bool current) const = 0;
};

}  // namespace lockstep::cli
