// A chat's partner that is a model in this process.
#pragma once

#include <optional>
#include <vector>

#include "cli/answer.h"
#include "cli/chat_partner.h"
#include "cli/options.h"

namespace lockstep::cli {

class LocalPartner : public ChatPartner {
 public:
  // Model and request must outlive the partner. Throws a user's error for a model without a chat template.
  LocalPartner(lockstep_model* model, const RequestOptions& request);

  std::string description() const override;
  ChatReply answer(const Conversation& conversation, const Show& show) override;
  std::string statistics(const Conversation& conversation, bool current) const override;

 private:
  // One that ended without an error.
  struct Turn {
    Answer answer;
    std::vector<int32_t> prompt;
    size_t reused = 0;  // tokens of the prompt whose state was still there
  };

  std::vector<int32_t> prompt_tokens(const Conversation& conversation) const;
  size_t used_tokens(const Conversation& conversation, bool current) const;

  lockstep_model* const model_;
  const RequestOptions& request_;
  lockstep_model_info info_{};
  std::optional<Turn> last_;
};

}  // namespace lockstep::cli
