#include "cli/prompt_line.h"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <optional>
#include <utility>

#include "base/error.h"
#include "cli/history_file.h"
#include "text/utf8.h"

namespace lockstep::cli {

namespace {

// Waits until standard input has bytes or is at its end; gives false when a signal came first. `look` is
// called now and then, as is the interrupt: a signal may be delivered to another thread and not end the wait.
template <class Look>
bool wait_for_input(const DeferredInterrupt& interrupt, Look look) {
  while (interrupt.signal() == 0) {
    pollfd input{.fd = 0, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&input, 1, 100);
    if (ready > 0 || (ready < 0 && errno != EINTR)) return interrupt.signal() == 0;
    look();
  }
  return false;
}

volatile std::sig_atomic_t continued = 0;
void on_continue(int) {
  continued = 1;
}

}  // namespace

// libedit's editor and history.
class PromptLine::Editor {
 public:
  Editor(const DeferredInterrupt& interrupt, const std::filesystem::path& history_file)
      : interrupt_(interrupt), history_file_(history_file) {
    // libedit converts characters by the locale; input and output are UTF-8 whatever the locale is.
    std::setlocale(LC_CTYPE, "C.UTF-8");
    struct sigaction action {};
    action.sa_handler = on_continue;
    ::sigaction(SIGCONT, &action, nullptr);
    history_ = ::history_init();
    editor_ = ::el_init("lockstep", stdin, stdout, stderr);
    if (history_ == nullptr || editor_ == nullptr) machine_error("the prompt line cannot be set up");
    HistEvent event{};
    ::history(history_, &event, H_SETSIZE, static_cast<int>(HistoryFile::kMostLines));
    ::history(history_, &event, H_SETUNIQUE, 1);
    for (const std::string& line : history_file_.lines()) ::history(history_, &event, H_ENTER, line.c_str());
    ::el_set(editor_, EL_CLIENTDATA, this);
    ::el_set(editor_, EL_HIST, ::history, history_);
    ::el_set(editor_, EL_EDITOR, "emacs");
    ::el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    ::el_set(editor_, EL_BIND, "^W", "ed-delete-prev-word", nullptr);
    ::el_set(editor_, EL_PROMPT, show_prompt);
    ::el_set(editor_, EL_GETCFN, read_character);
    ::el_source(editor_, nullptr);
  }
  ~Editor() {
    if (editor_ != nullptr) ::el_end(editor_);
    if (history_ != nullptr) ::history_end(history_);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  Outcome read(const std::string& prompt, std::string& line) {
    prompt_ = prompt;
    had_text_ = false;
    int count = 0;
    // Before the prompt is shown: what is typed at once, such as Ctrl-D, is then read by the editor alone.
    ::el_set(editor_, EL_PREP_TERM, 1);
    const char* text = ::el_gets(editor_, &count);
    if (interrupt_.signal() != 0) {
      print_text("\n");
      return had_text_ && interrupt_.signal() == SIGINT ? Outcome::Cleared : Outcome::Interrupted;
    }
    if (text == nullptr || count <= 0) {
      print_text("\n");
      return Outcome::End;
    }
    line = text;
    if (line.ends_with('\n')) line.pop_back();
    if (!line.empty()) remember(line);
    return Outcome::Line;
  }

 private:
  static Editor& of(EditLine* editor) {
    void* self = nullptr;
    ::el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<Editor*>(self);
  }
  static char* show_prompt(EditLine* editor) { return of(editor).prompt_.data(); }
  // libedit asks for one character: 1 when there is one, 0 at the end, -1 to give up the line.
  static int read_character(EditLine* editor, wchar_t* character) {
    return of(editor).next_character(character);
  }

  // The next byte of the terminal, or nothing at its end or when a signal came.
  std::optional<char> next_byte() {
    if (returned_) return std::exchange(returned_, std::nullopt);
    char byte = 0;
    while (wait_for_input(interrupt_, [this] { restore_after_stop(); })) {
      const ssize_t got = ::read(0, &byte, 1);
      if (got == 1) return byte;
      if (got == 0 || errno != EINTR) return std::nullopt;
    }
    return std::nullopt;
  }

  // A shell gives the terminal its own settings while this process is stopped.
  void restore_after_stop() {
    if (continued == 0) return;
    continued = 0;
    ::el_set(editor_, EL_PREP_TERM, 0);
    ::el_set(editor_, EL_PREP_TERM, 1);
    ::el_set(editor_, EL_REFRESH);
  }

  int next_character(wchar_t* character) {
    std::string bytes;
    while (true) {
      const std::optional<char> byte = next_byte();
      if (!byte) return give_up();
      bytes.push_back(*byte);
      const text::Utf8Step step = text::decode_utf8(bytes, 0);
      if (step.status == text::Utf8Status::Incomplete) continue;
      // The byte that breaks a sequence begins the next character.
      if (step.length < bytes.size()) returned_ = bytes.back();
      *character = static_cast<wchar_t>(step.code_point);
      return 1;
    }
  }

  int give_up() {
    const LineInfoW* line = ::el_wline(editor_);
    had_text_ = line->lastchar > line->buffer;
    return interrupt_.signal() != 0 ? -1 : 0;
  }

  void remember(const std::string& line) {
    HistEvent event{};
    ::history(history_, &event, H_ENTER, line.c_str());
    history_file_.append(line);
  }

  const DeferredInterrupt& interrupt_;
  HistoryFile history_file_;
  History* history_ = nullptr;
  EditLine* editor_ = nullptr;
  std::string prompt_;
  bool had_text_ = false;
  std::optional<char> returned_;
};

PromptLine::PromptLine(const DeferredInterrupt& interrupt, const std::filesystem::path& history_file)
    : interrupt_(interrupt) {
  if (::isatty(0) != 0 && ::isatty(1) != 0) editor_ = std::make_unique<Editor>(interrupt, history_file);
}

PromptLine::~PromptLine() = default;

PromptLine::Outcome PromptLine::read(const std::string& prompt, std::string& line) {
  return editor_ ? editor_->read(prompt, line) : read_plain(line);
}

PromptLine::Outcome PromptLine::read_plain(std::string& line) {
  while (true) {
    const size_t newline = pending_.find('\n');
    if (newline != std::string::npos || (at_end_ && !pending_.empty())) {
      line = pending_.substr(0, newline);
      pending_.erase(0, newline == std::string::npos ? newline : newline + 1);
      return Outcome::Line;
    }
    if (at_end_) return Outcome::End;
    if (!wait_for_input(interrupt_, [] {})) return Outcome::Interrupted;
    char bytes[4096];
    const ssize_t got = ::read(0, bytes, sizeof(bytes));
    if (got < 0 && errno != EINTR) machine_error("standard input cannot be read: {}", errno_text(errno));
    if (got > 0) pending_.append(bytes, static_cast<size_t>(got));
    at_end_ = got == 0;
  }
}

}  // namespace lockstep::cli
