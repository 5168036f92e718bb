// A conversation at the prompt: lines in, answers out, and the commands that start with a slash.
#pragma once

#include <optional>
#include <string>

#include "cli/answer.h"
#include "cli/conversation.h"
#include "cli/options.h"
#include "cli/prompt_line.h"

namespace lockstep::cli {

class ChatSession {
 public:
  // Model and request must outlive the session. The model must have a chat template.
  ChatSession(lockstep_model* model, const RequestOptions& request, Conversation conversation);

  // Until the input ends, /exit, or a signal that ends the program. A user's error in a turn or a command is
  // shown and the session goes on; where nobody sits at a terminal it makes the exit code 2.
  void run();

 private:
  // Takes one line, perhaps continued by backslashes at line ends. Nothing: the session ends.
  std::optional<std::string> read_input();
  void handle(const std::string& input);
  void command(const std::string& name, const std::string& argument);
  void take_turn(const std::string& text);
  void show_end(const Answer& answer);
  void show_system(const std::string& text);
  void show_stats() const;
  size_t used_tokens() const;
  size_t reused_tokens(const std::vector<int32_t>& prompt) const;

  lockstep_model* const model_;
  const RequestOptions& request_;
  lockstep_model_info info_{};
  DeferredInterrupt interrupt_;
  PromptLine prompt_line_;
  Conversation conversation_;
  bool leaving_ = false;

  // Of the last turn that ended without an error.
  struct Turn {
    Answer answer;
    std::vector<int32_t> prompt;
    size_t reused = 0;  // tokens of the prompt whose state was still there
  };
  std::optional<Turn> last_;
  bool current_ = false;  // the conversation is as the last turn left it
};

}  // namespace lockstep::cli
