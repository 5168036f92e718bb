#include "cli/local_partner.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace lockstep::cli {

namespace {

double rate(size_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

// The engine keeps the state of a turn and computes only what follows the common beginning; the last token of
// a prompt always runs.
size_t reused_tokens(std::vector<int32_t> kept, const Answer& answer, const std::vector<int32_t>& prompt) {
  if (answer.tokens.empty()) return 0;
  kept.insert(kept.end(), answer.tokens.begin(), answer.tokens.end() - 1);
  const auto most = static_cast<ptrdiff_t>(std::min(kept.size(), prompt.size() - 1));
  return static_cast<size_t>(std::mismatch(kept.begin(), kept.begin() + most, prompt.begin()).first -
                             kept.begin());
}

}  // namespace

LocalPartner::LocalPartner(lockstep_model* model, const RequestOptions& request)
    : model_(model), request_(request) {
  lockstep_describe(model, &info_);
  if (info_.has_chat_template == 0) {
    user_error(
        "{}: the model has no chat template, which a chat needs; 'lockstep run --raw' gives it plain text",
        info_.name);
  }
}

std::string LocalPartner::description() const {
  return fmt::format("{}, {} kernels, {} threads, context of {} tokens", info_.name, info_.isa, info_.threads,
                     info_.context);
}

ChatReply LocalPartner::answer(const Conversation& conversation, const Show& show) {
  const std::optional<Turn> before = std::exchange(last_, std::nullopt);
  Turn turn;
  turn.prompt = prompt_tokens(conversation);
  if (turn.prompt.size() > info_.context) {
    user_error(
        "the conversation has {} tokens and the context holds {}: /reset begins anew, --context makes room "
        "for more",
        turn.prompt.size(), info_.context);
  }
  if (before) turn.reused = reused_tokens(before->prompt, before->answer, turn.prompt);
  turn.answer = generate(model_, turn.prompt, request_.options, show);
  last_ = std::move(turn);

  const Answer& answer = last_->answer;
  ChatReply reply{.text = answer.text,
                  .begun = !answer.tokens.empty(),
                  .cancelled = answer.finish_reason == "cancelled",
                  .signal = answer.signal};
  if (answer.context_full) {
    reply.warning =
        "the answer ends here because the context is full: /reset begins anew, --context makes room for more";
  }
  return reply;
}

std::vector<int32_t> LocalPartner::prompt_tokens(const Conversation& conversation) const {
  return tokenize(model_, apply_template(model_, conversation.c_messages()), true);
}

// Positions that the conversation takes: those of the last turn, or after a change what a turn would begin
// with.
size_t LocalPartner::used_tokens(const Conversation& conversation, bool current) const {
  if (current) return last_->prompt.size() + last_->answer.tokens.size() - 1;  // the last token has none yet
  return conversation.messages.empty() ? 0 : prompt_tokens(conversation).size();
}

std::string LocalPartner::statistics(const Conversation& conversation, bool current) const {
  std::string text = fmt::format("model         {}\nfingerprint   {}\nmessages      {}\n", info_.name,
                                 info_.fingerprint, conversation.messages.size());
  const size_t used = used_tokens(conversation, current);
  text +=
      fmt::format("context       {} of {} tokens ({}%)\n", used, info_.context, used * 100 / info_.context);
  if (!last_) return text;
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
  return text;
}

}  // namespace lockstep::cli
