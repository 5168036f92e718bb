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
    "/stats        tokens, speeds, context used, digest of the last answer, fingerprint\n"
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

double rate(size_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

}  // namespace

ChatSession::ChatSession(lockstep_model* model, const RequestOptions& request, Conversation conversation)
    : model_(model),
      request_(request),
      prompt_line_(interrupt_, history_place()),
      conversation_(std::move(conversation)) {
  lockstep_describe(model, &info_);
}

void ChatSession::run() {
  if (prompt_line_.interactive()) {
    print_text(fmt::format("{}, {} kernels, {} threads, context of {} tokens; /help lists the commands\n",
                           info_.name, info_.isa, info_.threads, info_.context));
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
    show_stats();
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
  Turn turn;
  try {
    turn.prompt = tokenize(model_, apply_template(model_, conversation_.c_messages()), true);
    if (turn.prompt.size() > info_.context) {
      user_error(
          "the conversation has {} tokens and the context holds {}: /reset begins anew, --context makes room "
          "for more",
          turn.prompt.size(), info_.context);
    }
    turn.reused = reused_tokens(turn.prompt);
    turn.answer = generate(model_, turn.prompt, request_.options, [&](std::string_view piece) {
      begun = true;
      print_model_text(piece);
      flush_output();
    });
  } catch (...) {
    if (begun) print_text("\n");
    conversation_.messages.pop_back();
    last_.reset();
    current_ = false;
    throw;
  }
  print_text("\n");
  current_ = !turn.answer.tokens.empty();
  if (!current_) {
    conversation_.messages.pop_back();
  } else {
    conversation_.messages.push_back({"assistant", turn.answer.text});
  }
  last_ = std::move(turn);
  show_end(last_->answer);
}

// What ended an answer, where that is not the model's own end.
void ChatSession::show_end(const Answer& answer) {
  if (answer.context_full) {
    show_warning(
        "the answer ends here because the context is full: /reset begins anew, --context makes room for "
        "more");
  }
  if (answer.signal == 0) return;
  if (answer.signal != SIGINT || !prompt_line_.interactive()) {
    set_exit_code(128 + answer.signal);
    leaving_ = true;
    return;
  }
  interrupt_.reset();
  if (answer.finish_reason != "cancelled") return;
  print_text(answer.tokens.empty() ? "(stopped before the answer began; the message is taken back)\n"
                                   : "(stopped; the conversation keeps the answer so far)\n");
}

// The engine keeps the state of the last turn and computes only what follows the common beginning; the last
// token of a prompt always runs.
size_t ChatSession::reused_tokens(const std::vector<int32_t>& prompt) const {
  if (!last_ || last_->answer.tokens.empty()) return 0;
  std::vector<int32_t> kept = last_->prompt;
  kept.insert(kept.end(), last_->answer.tokens.begin(), last_->answer.tokens.end() - 1);
  const auto most = static_cast<ptrdiff_t>(std::min(kept.size(), prompt.size() - 1));
  return static_cast<size_t>(std::mismatch(kept.begin(), kept.begin() + most, prompt.begin()).first -
                             kept.begin());
}

// Positions that the conversation takes: those of the last turn, or after a change what a turn would begin
// with.
size_t ChatSession::used_tokens() const {
  if (current_) return last_->prompt.size() + last_->answer.tokens.size() - 1;  // the last token has none yet
  if (conversation_.messages.empty()) return 0;
  return tokenize(model_, apply_template(model_, conversation_.c_messages()), true).size();
}

void ChatSession::show_stats() const {
  std::string text = fmt::format("model         {}\nfingerprint   {}\nmessages      {}\n", info_.name,
                                 info_.fingerprint, conversation_.messages.size());
  const size_t used = used_tokens();
  text +=
      fmt::format("context       {} of {} tokens ({}%)\n", used, info_.context, used * 100 / info_.context);
  if (last_) {
    const Answer& answer = last_->answer;
    const nlohmann::ordered_json timing = timing_json(answer, last_->prompt.size(), 0);
    const size_t computed = last_->prompt.size() - last_->reused;
    text += fmt::format("prompt        {} tokens, {} computed in {:.3f} s ({:.1f} a second)\n",
                        last_->prompt.size(), computed, answer.prefill_s, rate(computed, answer.prefill_s));
    text += fmt::format("answer        {} tokens ({}) in {:.3f} s ({:.1f} a second)\n", answer.tokens.size(),
                        answer.finish_reason, answer.decode_s, timing["decode_tok_s"].get<double>());
    text += fmt::format("a token       {:.2f} ms median, {:.2f} ms 99th percentile\n",
                        timing["token_s_p50"].get<double>() * 1e3, timing["token_s_p99"].get<double>() * 1e3);
    text += fmt::format("digest        {}\n", answer.digest);
  }
  print_text(text);
}

}  // namespace lockstep::cli
