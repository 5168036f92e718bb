#include "engine/model_drafter.h"

#include <algorithm>

#include "base/stopwatch.h"
#include "targets/sole_sequence.h"

namespace lockstep::engine {

namespace {

constexpr double kTimeRate = 0.1;   // of a draft's deviation from the time that was expected
constexpr uint32_t kRowsTimed = 4;  // a draft that first takes in more rows says nothing of the others

// Drafts are sampled from the likeliest tokens alone. What that leaves out is hardly ever drawn, and the race
// and the sorting of a whole vocabulary would take longer than a small model does.
constexpr float kMinP = 0x1p-10f;
constexpr int32_t kTopK = 256;

// A token's bytes for an error: what is not printable ASCII as \xNN.
std::string shown(std::string_view bytes) {
  std::string text;
  for (char byte : bytes) {
    const auto code = static_cast<unsigned char>(byte);
    text += code >= 0x20 && code < 0x7f ? std::string(1, byte) : fmt::format("\\x{:02x}", code);
  }
  return text;
}

}  // namespace

void check_draft_vocabulary(const text::Tokenizer& model, std::string_view model_name,
                            const text::Tokenizer& draft, std::string_view draft_name) {
  const size_t model_size = model.vocabulary().tokens.size(), draft_size = draft.vocabulary().tokens.size();
  for (size_t i = 0; i < std::min(model_size, draft_size); ++i) {
    const auto id = static_cast<int32_t>(i);
    const std::string expected = model.token_bytes(id), found = draft.token_bytes(id);
    if (expected == found) continue;
    user_error(
        "{} cannot draft for {}: token {} is \"{}\" in the one and \"{}\" in the other; a draft model "
        "needs the same vocabulary",
        draft_name, model_name, id, shown(found), shown(expected));
  }
  if (model_size == draft_size) return;
  user_error(
      "{} cannot draft for {}: it has {} tokens and not {}, token {} is in one of them alone; a draft "
      "model needs the same vocabulary",
      draft_name, model_name, draft_size, model_size, std::min(model_size, draft_size));
}

void DraftModel::observe(double token_s) {
  token_s_ = token_s_ == 0 ? token_s : token_s_ + kTimeRate * (std::min(token_s, 2 * token_s_) - token_s_);
}

ModelDrafter::ModelDrafter(DraftModel& model, const numerics::SamplingParameters& sampling, uint32_t choice,
                           uint32_t prompt_size)
    : model_(model),
      sampling_(sampling),
      choice_(choice),
      prompt_size_(prompt_size),
      counts_wanted_(numerics::needs_counts(sampling)) {
  sampling_.min_p = std::max(sampling_.min_p, kMinP);
  if (sampling_.top_p < 1.0f && (sampling_.top_k == 0 || sampling_.top_k > kTopK)) sampling_.top_k = kTopK;
  const uint32_t context = model_.target_.context();
  tokens_.reserve(context + 1);
  drafted_.reserve(context);
  held_.pages.reserve(model_.pool_.pages_for(context));
  held_.blocks.reserve(model_.pool_.pages_for(context));
}

ModelDrafter::~ModelDrafter() {
  model_.pool_.release(held_, tokens_, computed_);
}

uint32_t ModelDrafter::match(std::span<const int32_t> tokens) {
  LOCKSTEP_CHECK(tokens.size() >= tokens_.size());
  if (refused_ || tokens.empty() || tokens.size() > model_.target_.context()) return 0;
  const std::span<const int32_t> fresh = tokens.subspan(tokens_.size());
  if (tokens_.empty()) computed_ = model_.pool_.reuse(held_, tokens, 0);
  // Drafts that were accepted are computed.
  for (size_t i = 0; i < std::min(fresh.size(), drafted_.size()) && fresh[i] == drafted_[i]; ++i) ++computed_;
  drafted_.clear();
  for (int32_t token : fresh) {
    count_token(token, tokens_.size() >= prompt_size_);
    tokens_.push_back(token);
  }
  // The last token always runs: its logits are wanted.
  computed_ = std::min(computed_, static_cast<uint32_t>(tokens_.size()) - 1);
  const uint32_t chunk = std::min(targets::kPrefillRows, model_.target_.rows_max());
  if (pending() > chunk) {
    if (!run(std::span(tokens_).subspan(computed_, chunk), computed_, false)) return 0;
    computed_ += chunk;
  }
  model_.pool_.publish(held_, tokens_, computed_);
  return pending() > chunk ? 0 : 1;
}

void ModelDrafter::propose(std::span<const int32_t> tokens, uint32_t count, std::vector<int32_t>& draft) {
  LOCKSTEP_CHECK(tokens.size() == tokens_.size() && drafted_.empty());
  const size_t first = draft.size();
  const auto size = static_cast<uint32_t>(tokens_.size());
  count = std::min(count, model_.target_.context() - size + 1);
  const bool timed = pending() <= kRowsTimed;
  const Stopwatch watch;
  // At first the rows of the sequence that are new, then the draft's last.
  std::span<const int32_t> rows = std::span(tokens_).subspan(computed_);
  uint32_t position = computed_;
  for (uint32_t i = 0; i < count && run(rows, position, true); ++i) {
    position += static_cast<uint32_t>(rows.size());
    if (i == 0) {
      computed_ = size;
    } else {
      drafted_.push_back(draft.back());
    }
    draft.push_back(sample(position));
    count_token(draft.back(), true);
    rows = std::span(&draft.back(), 1);
  }
  const std::span<const int32_t> made = std::span(draft).subspan(first);
  for (int32_t token : made) uncount_token(token);
  if (timed && !made.empty()) model_.observe(watch.seconds() / static_cast<double>(made.size()));
}

// Runs tokens of the sequence or of a draft at `position`. False without pages for them, or when a value was
// refused: in the sequence for good, in a draft this once.
bool ModelDrafter::run(std::span<const int32_t> tokens, uint32_t position, bool logits_wanted) {
  if (!model_.pool_.extend(held_, position + static_cast<uint32_t>(tokens.size()))) return false;
  const int32_t last = static_cast<int32_t>(tokens.size()) - 1;
  const targets::StepSequence sequence = {tokens, position, held_.pages,
                                          std::span(&last, logits_wanted ? 1 : 0)};
  model_.target_.step(std::span(&sequence, 1));
  if (model_.target_.refused_row(0) == program::kNone) return true;
  refused_ = refused_ || position < tokens_.size();
  return false;
}

// The token at `position`, from the logits of the step that just ran.
int32_t ModelDrafter::sample(uint32_t position) {
  const std::span<const float> raw = model_.target_.logits(0);
  if (numerics::takes_argmax(sampling_)) return numerics::argmax(raw);
  model_.logits_.assign(raw.begin(), raw.end());
  return model_.sampler_.sample(model_.logits_, sampling_, counts_, position, choice_);
}

void ModelDrafter::count_token(int32_t token, bool generated) {
  if (!counts_wanted_) return;
  ++counts_.seen[token];
  if (generated) ++counts_.generated[token];
}

void ModelDrafter::uncount_token(int32_t token) {
  if (!counts_wanted_) return;
  if (--counts_.seen[token] == 0) counts_.seen.erase(token);
  if (--counts_.generated[token] == 0) counts_.generated.erase(token);
}

}  // namespace lockstep::engine
