#include "cli/chat_session.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/error.h"
#include "store/cache.h"

namespace lockstep::cli {

namespace {

constexpr const char* kHelp =
    "/help         this list\n"
    "/reset        forget the conversation, keep the system message\n"
    "/system TEXT  set the system message; /system shows it, '/system -' removes it\n"
    "/stats        tokens, speeds, context used, fingerprint, digest of the last answer of a model here\n"
    "/save FILE    write the conversation as JSON\n"
    "/load FILE    go on with a conversation that was written\n"
    "/exit         leave; so does Ctrl-D, and Ctrl-C twice at an empty line\n"
    "//text        send \"/text\" to the model\n"
    "A line that ends in a backslash goes on in the next. Ctrl-C stops an answer.\n";

std::filesystem::path history_place() {
  const store::CacheSettings settings = store::cache_settings_from_environment();
  return settings.root.empty() ? std::filesystem::path() : settings.root / "chat_history";
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

}  // namespace

ChatSession::ChatSession(ChatPartner& partner, Conversation conversation)
    : partner_(partner), prompt_line_(interrupt_, history_place()), conversation_(std::move(conversation)) {}

void ChatSession::run() {
  if (prompt_line_.interactive()) {
    print_text(fmt::format("{}; /help lists the commands\n", partner_.description()));
  }
  while (!leaving_) {
    const std::optional<std::string> input = read_input();
    if (!input) break;
    try {
      handle(*input);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::User) throw;
      show_warning(error.what());
      if (!prompt_line_.interactive()) set_exit_code(2);
    }
    flush_output();
  }
}

std::optional<std::string> ChatSession::read_input() {
  std::string input, line;
  bool asked = false;
  while (true) {
    flush_output();
    const PromptLine::Outcome outcome = prompt_line_.read(input.empty() ? "> " : ". ", line);
    if (outcome == PromptLine::Outcome::End) return input.empty() ? std::nullopt : std::optional(input);
    if (outcome == PromptLine::Outcome::Line) {
      if (!line.ends_with('\\')) return input + line;
      line.back() = '\n';
      input += line;
      continue;
    }
    if (!prompt_line_.interactive() || interrupt_.signal() != SIGINT) {
      set_exit_code(128 + interrupt_.signal());
      return std::nullopt;
    }
    interrupt_.reset();
    const bool was_empty = outcome == PromptLine::Outcome::Interrupted && input.empty();
    if (was_empty && asked) return std::nullopt;
    if (was_empty) print_text("Ctrl-C again or Ctrl-D leaves\n");
    asked = was_empty;
    input.clear();
  }
}

void ChatSession::handle(const std::string& input) {
  if (trimmed(input).empty()) return;
  if (!input.starts_with('/')) return take_turn(input);
  if (input.starts_with("//")) return take_turn(input.substr(1));
  const size_t space = std::min(input.find_first_of(" \t\r\n"), input.size());
  command(input.substr(0, space), trimmed(std::string_view(input).substr(space)));
}

void ChatSession::command(const std::string& name, const std::string& argument) {
  const bool wants_file = name == "/save" || name == "/load";
  if (wants_file && argument.empty()) user_error("{} FILE: the name of a file is wanted", name);
  if (!wants_file && name != "/system" && !argument.empty()) {
    user_error("'{} {}': {} stands alone; to send the line to the model, start it with //", name, argument,
               name);
  }
  if (name == "/help") {
    print_text(kHelp);
  } else if (name == "/reset") {
    conversation_.messages.clear();
    current_ = false;
  } else if (name == "/system") {
    show_system(argument);
  } else if (name == "/stats") {
    print_text(partner_.statistics(conversation_, current_));
  } else if (name == "/save") {
    write_conversation(argument, conversation_);
    print_text(fmt::format("{}: {} messages\n", argument, conversation_.messages.size()));
  } else if (name == "/load") {
    conversation_ = read_conversation(argument);
    current_ = false;
    print_text(fmt::format("{}: {} messages\n", argument, conversation_.messages.size()));
  } else if (name == "/exit") {
    leaving_ = true;
  } else {
    user_error("{} is no command: /help lists them; to send the line to the model, start it with //", name);
  }
}

void ChatSession::show_system(const std::string& text) {
  if (text.empty()) {
    print_text(conversation_.system.empty() ? "no system message\n" : conversation_.system + "\n");
    return;
  }
  check_message_text(text, "the system message");
  conversation_.system = text == "-" ? "" : text;
  current_ = false;
}

void ChatSession::take_turn(const std::string& text) {
  check_message_text(text, "the message");
  conversation_.messages.push_back({"user", text});
  bool begun = false;
  ChatReply reply;
  try {
    reply = partner_.answer(conversation_, [&](std::string_view piece) {
      begun = true;
      print_model_text(piece);
      flush_output();
    });
  } catch (...) {
    if (begun) print_text("\n");
    conversation_.messages.pop_back();
    current_ = false;
    throw;
  }
  print_text("\n");
  current_ = reply.begun;
  if (!current_) {
    conversation_.messages.pop_back();
  } else {
    conversation_.messages.push_back({"assistant", reply.text});
  }
  show_end(reply);
}

// What ended an answer, where that is not the model's own end.
void ChatSession::show_end(const ChatReply& reply) {
  if (!reply.warning.empty()) show_warning(reply.warning);
  if (reply.signal == 0) return;
  if (reply.signal != SIGINT || !prompt_line_.interactive()) {
    set_exit_code(128 + reply.signal);
    leaving_ = true;
    return;
  }
  interrupt_.reset();
  if (!reply.cancelled) return;
  print_text(reply.begun ? "(stopped; the conversation keeps the answer so far)\n"
                         : "(stopped before the answer began; the message is taken back)\n");
}

}  // namespace lockstep::cli
