// Lines from a person or a script: on a terminal with editing and a history, elsewhere as they come.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "cli/console.h"

namespace lockstep::cli {

class PromptLine {
 public:
  enum class Outcome {
    Line,
    Cleared,      // SIGINT while the line had text
    Interrupted,  // SIGINT at an empty line, SIGTERM at any; signal() of the interrupt says which
    End,          // Ctrl-D or the end of the input
  };

  // With editing when standard input and standard output are terminals. The history is read from the file and
  // grows line by line; with an empty path, or one whose folder does not exist, it is not kept. The interrupt
  // must outlive this object; a signal that ends a line is left in it.
  PromptLine(const DeferredInterrupt& interrupt, const std::filesystem::path& history_file);
  ~PromptLine();
  PromptLine(const PromptLine&) = delete;
  PromptLine& operator=(const PromptLine&) = delete;

  bool interactive() const { return editor_ != nullptr; }
  // Reads one line, without its newline. The prompt is shown only when interactive.
  Outcome read(const std::string& prompt, std::string& line);

 private:
  class Editor;
  Outcome read_plain(std::string& line);

  const DeferredInterrupt& interrupt_;
  std::unique_ptr<Editor> editor_;
  std::string pending_;  // bytes that were read and belong to later lines
  bool at_end_ = false;
};

}  // namespace lockstep::cli
