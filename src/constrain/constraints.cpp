#include "constrain/constraints.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace lockstep::constrain {

namespace {

constexpr size_t kKeptMax = 16;          // kinds of answers; each takes some megabytes
constexpr size_t kForcedBytesMax = 256;  // that are spelled out at once

// What each token adds to an answer's text: as it is decoded, and control tokens of the format.
std::shared_ptr<const TokenTable> token_table(const text::Tokenizer& tokenizer, const CallFormat& format) {
  std::vector<std::string> bytes(tokenizer.vocabulary().tokens.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (tokenizer.is_end_of_generation(id)) continue;
    switch (tokenizer.token_type(id)) {
      case text::TokenType::Normal:
      case text::TokenType::Byte:
      case text::TokenType::UserDefined:
        bytes[i] = tokenizer.token_bytes(id);
        break;
      case text::TokenType::Control:
        if (spells(format, tokenizer.token_bytes(id))) bytes[i] = tokenizer.token_bytes(id);
        break;
      case text::TokenType::Unknown:
      case text::TokenType::Unused:
        break;
    }
  }
  const std::span<const int32_t> ends = tokenizer.end_of_generation_ids();
  return std::make_shared<const TokenTable>(std::move(bytes), std::vector(ends.begin(), ends.end()));
}

// Follows a grammar. The masks of a step are asked of the worker before it.
class GrammarConstraint final : public engine::TokenConstraint {
 public:
  GrammarConstraint(std::shared_ptr<SharedMasks> shared, std::shared_ptr<MaskWorker> worker,
                    const text::Tokenizer& tokenizer)
      : shared_(std::move(shared)),
        worker_(std::move(worker)),
        tokenizer_(tokenizer),
        readings_(first_readings(shared_->grammar())) {}
  ~GrammarConstraint() override { drop_job(); }

  void prepare(std::span<const int32_t> draft) override {
    if (job_ && !job_->has(accepted_, {})) return;  // still asked for
    if (job_ && !mask_) mask_ = job_->mask(accepted_);
    drop_job();
    if (!mask_) mask_ = shared_->known(readings_);
    if (!mask_ || !draft.empty()) add_job(draft);
  }

  bool ready(std::chrono::microseconds patience) override {
    // Where the worker has not come to it, it may be done here as well.
    if (job_ && !mask_ && shared_->quick() && job_->withdraw()) drop_job();
    if (!job_ && !mask_) {
      mask_ = shared_->quick_mask(readings_);
      if (!mask_) add_job({});
    }
    return mask_ || job_->has(accepted_, patience);
  }

  std::span<const uint64_t> allowed() override {
    while (!ready(std::chrono::seconds(1)))
      ;
    if (!mask_) mask_ = job_->mask(accepted_);
    return *mask_;
  }

  void accept(int32_t token) override {
    readings_ = advanced(shared_->grammar(), std::move(readings_),
                         shared_->tokens().bytes[static_cast<size_t>(token)]);
    LOCKSTEP_CHECK(!readings_.empty());
    forced_.reset();
    mask_.reset();
    if (!job_) return;
    const bool as_drafted = accepted_ < job_->draft().size() && job_->draft()[accepted_] == token;
    if (!as_drafted) return drop_job();
    ++accepted_;
  }

  std::span<const int32_t> forced() override {
    if (!forced_) forced_ = spell_forced();
    return *forced_;
  }

  bool is_free() const override {
    return readings_.single() && readings_.words.size() == 2 && readings_.words[1] < shared_->free_states();
  }

 private:
  void add_job(std::span<const int32_t> draft) {
    job_ = std::make_shared<MaskJob>(shared_, readings_, draft, mask_);
    accepted_ = 0;
    worker_->add(job_);
  }

  void drop_job() {
    if (job_) job_->abandon();
    job_.reset();
  }

  std::vector<int32_t> spell_forced() const {
    std::string text;
    grammar::Readings readings = readings_;
    while (text.size() < kForcedBytesMax) {
      const std::optional<uint8_t> byte = only_byte(shared_->grammar(), readings);
      if (!byte) break;
      text += static_cast<char>(*byte);
      readings = advance(shared_->grammar(), readings, *byte);
    }
    if (text.empty()) return {};
    std::vector<int32_t> tokens = tokenizer_.encode(text, text::SpecialTokens::Parse);
    std::string spelled;  // another text where the tokenizer puts a space before it
    for (const int32_t token : tokens) spelled += shared_->tokens().bytes[static_cast<size_t>(token)];
    if (spelled != text) tokens.clear();
    return tokens;
  }

  const std::shared_ptr<SharedMasks> shared_;
  const std::shared_ptr<MaskWorker> worker_;
  const text::Tokenizer& tokenizer_;
  grammar::Readings readings_;
  std::shared_ptr<MaskJob> job_;  // what the worker was asked for; none: nothing that is still needed
  size_t accepted_ = 0;           // tokens of the job's draft
  Mask mask_;                     // what may come next; null: the job has it, or nobody yet
  std::optional<std::vector<int32_t>> forced_;  // none: not known
};

std::string key_of(const AnswerRules& rules) {
  nlohmann::ordered_json key = {static_cast<int>(rules.content), rules.one_call, rules.schema};
  for (const CallableTool& tool : rules.tools) {
    key.push_back(tool.name);
    key.push_back(tool.parameters);
  }
  return key.dump();
}

}  // namespace

Constraints::Constraints(const text::Tokenizer& tokenizer, const CallFormat& format)
    : tokenizer_(tokenizer),
      format_(format),
      tokens_(token_table(tokenizer, format)),
      worker_(std::make_shared<MaskWorker>()) {}

std::shared_ptr<SharedMasks> Constraints::shared_masks(const AnswerRules& rules) {
  std::string key = key_of(rules);
  auto find = [&] {
    const auto found =
        std::find_if(kept_.begin(), kept_.end(), [&](const auto& one) { return one.first == key; });
    if (found != kept_.end()) kept_.splice(kept_.begin(), kept_, found);
    return found != kept_.end();
  };
  {
    const std::lock_guard lock(mutex_);
    if (find()) return kept_.front().second;
  }
  auto made = std::make_shared<SharedMasks>(tokens_, answer_grammar(format_, rules));
  const std::lock_guard lock(mutex_);
  if (find()) return kept_.front().second;
  kept_.emplace_front(std::move(key), std::move(made));
  if (kept_.size() > kKeptMax) kept_.pop_back();
  return kept_.front().second;
}

engine::ConstraintMaker Constraints::maker(const AnswerRules& rules) {
  return [shared = shared_masks(rules), worker = worker_, &tokenizer = tokenizer_] {
    return std::make_unique<GrammarConstraint>(shared, worker, tokenizer);
  };
}

}  // namespace lockstep::constrain
