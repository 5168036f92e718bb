// Drafts by a smaller model with the same vocabulary. It samples as the request does, with the same seed at
// the same positions: where both models' probabilities are alike, so are their tokens, at every temperature.
#pragma once

#include <string_view>

#include "engine/drafter.h"
#include "engine/kv_pool.h"
#include "numerics/sampling.h"
#include "targets/target.h"
#include "text/tokenizer.h"

namespace lockstep::engine {

// Throws a user's error that names both models and the first token that differs, unless every id of both
// vocabularies stands for the same bytes.
void check_draft_vocabulary(const text::Tokenizer& model, std::string_view model_name,
                            const text::Tokenizer& draft, std::string_view draft_name);

// A draft model and the pool of its cache's pages. Its drafters share both, one at a time.
class DraftModel {
 public:
  // The target must outlive the draft model. Nobody else may use it.
  explicit DraftModel(targets::Target& target) : target_(target), pool_(target) {}

 private:
  friend class ModelDrafter;
  void observe(double token_s);

  targets::Target& target_;
  KvPool pool_;
  numerics::Sampler sampler_;
  std::vector<float> logits_;
  double token_s_ = 0;  // of a draft token; 0: not known yet
};

// Keeps the draft model's state of a sequence: takes in the tokens that it has not seen, forgets the drafts
// that were rejected. Without pages to be had, and after a refused value, there are no drafts. Counting
// tokens for penalties allocates for a token that is new.
class ModelDrafter final : public Drafter {
 public:
  // `prompt_size` tokens of the sequence are its prompt. The draft model must outlive the drafter.
  ModelDrafter(DraftModel& model, const numerics::SamplingParameters& sampling, uint32_t choice,
               uint32_t prompt_size);
  ~ModelDrafter() override;
  ModelDrafter(const ModelDrafter&) = delete;
  ModelDrafter& operator=(const ModelDrafter&) = delete;

  // 1 when a draft can be made. When many tokens are new, as a prompt's are, a call takes in one chunk of
  // them.
  uint32_t match(std::span<const int32_t> tokens) override;
  // Runs the draft model once a token.
  void propose(std::span<const int32_t> tokens, uint32_t count, std::vector<int32_t>& draft) override;
  double token_s() const override { return model_.token_s_; }
  const char* name() const override { return "model"; }

 private:
  uint32_t pending() const { return static_cast<uint32_t>(tokens_.size()) - computed_; }
  bool run(std::span<const int32_t> tokens, uint32_t position, bool logits_wanted);
  int32_t sample(uint32_t position);
  void count_token(int32_t token, bool generated);
  void uncount_token(int32_t token);

  DraftModel& model_;
  numerics::SamplingParameters sampling_;
  const uint32_t choice_;
  const uint32_t prompt_size_;
  const bool counts_wanted_;      // by penalties
  numerics::TokenCounts counts_;  // of tokens_
  std::vector<int32_t> tokens_;   // the sequence
  std::vector<int32_t> drafted_;  // the tokens after it whose state is computed as well
  uint32_t computed_ = 0;         // tokens of the sequence whose state is in held_
  HeldPages held_;
  bool refused_ = false;
};

}  // namespace lockstep::engine
