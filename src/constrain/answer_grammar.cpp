#include "constrain/answer_grammar.h"

#include <array>

#include "grammar/json_rules.h"
#include "grammar/schema.h"

namespace lockstep::constrain {

namespace {

using grammar::GrammarBuilder;
using grammar::kNoState;
using grammar::StateId;

// How much of `word` the end of `text` spells, the whole word included.
size_t spelled(std::string_view text, std::string_view word) {
  size_t count = std::min(text.size(), word.size());
  while (!text.ends_with(word.substr(0, count))) --count;
  return count;
}

class AnswerBuilder {
 public:
  AnswerBuilder(const CallFormat& format, const AnswerRules& rules)
      : format_(format), rules_(rules), json_(builder_) {}

  AnswerGrammar build() {
    AnswerGrammar answer;
    StateId start;
    if (rules_.content == ContentKind::Text) {
      start = text();
      answer.free_states = text_states_;
    } else {
      start = builder_.add_state();
      if (!rules_.tools.empty()) builder_.take(start, format_.begin, calls());
      if (can_be_bare(format_, rules_)) builder_.take(start, opening(format_), names_);
      if (rules_.content == ContentKind::Json) builder_.call(start, json(), builder_.add_final_state());
    }
    for (size_t i = 0; i < rules_.tools.size(); ++i) arguments(rules_.tools[i], argument_places_[i]);
    try {
      answer.grammar = builder_.build(start);
    } catch (const Error& error) {  // no text at all: no schema has one
      throw SchemaError(schema_rules_.front().place, error.what());
    }
    for (const Rule& rule : schema_rules_) {
      if (answer.grammar.height(rule.start) < grammar::kDepthMax) continue;
      throw SchemaError(rule.place,
                        "the schema has no finite text: a $ref leads back to itself without a "
                        "way out, or too many levels deep");
    }
    return answer;
  }

 private:
  struct Rule {
    StateId start;
    std::string place;
  };

  // Free text: a state for each beginning of `begin` that the text may end with, and one for each beginning
  // of a bare call while the text is nothing else. All may end.
  StateId text() {
    const bool calls_follow = !rules_.tools.empty();
    const std::string bare = can_be_bare(format_, rules_) ? opening(format_) : std::string();
    std::vector<StateId> within(format_.begin.size()), at_start(bare.size());
    for (StateId& state : within) state = builder_.add_final_state();
    for (StateId& state : at_start) state = builder_.add_final_state();
    text_states_ = static_cast<StateId>(within.size() + at_start.size());
    const StateId called = calls_follow ? calls() : kNoState;
    // Where the text leads that ends so.
    auto after = [&](std::string_view text) {
      const size_t count = spelled(text, format_.begin);
      return count == within.size() ? called : within[count];
    };
    for (size_t i = 0; i < within.size(); ++i) {
      each_byte(within[i], [&](char byte) { return after(std::string(format_.begin.substr(0, i)) + byte); });
    }
    for (size_t i = 0; i < at_start.size(); ++i) {
      each_byte(at_start[i], [&](char byte) {
        if (byte != bare[i]) return after(bare.substr(0, i) + byte);
        return i + 1 < bare.size() ? at_start[i + 1] : names_;
      });
    }
    return at_start.empty() ? within[0] : at_start[0];
  }

  // An edge for each range of bytes with the same target.
  template <class Target>
  void each_byte(StateId from, Target target_of) {
    StateId target = kNoState;
    int low = 0;
    for (int byte = 0; byte <= 256; ++byte) {
      const StateId next = byte < 256 ? target_of(static_cast<char>(byte)) : kNoState;
      if (byte > 0 && byte < 256 && next == target) continue;
      if (target != kNoState) {
        builder_.take(from, static_cast<uint8_t>(low), static_cast<uint8_t>(byte - 1), target);
      }
      target = next;
      low = byte;
    }
  }

  // What follows `begin`; the arguments are still missing.
  StateId calls() {
    const StateId start = builder_.add_state();
    names_ = builder_.add_state();
    builder_.take(start, opening(format_), names_);
    std::vector<std::string> texts;
    for (const CallableTool& tool : rules_.tools) texts.push_back(tool.name + std::string(format_.middle));
    argument_places_ = json_.each_of(names_, texts);
    after_arguments_ = builder_.add_state();
    const StateId closed = builder_.add_state();
    builder_.take(after_arguments_, format_.close, closed);
    builder_.take(closed, format_.end, builder_.add_final_state());
    if (!rules_.one_call && !format_.next.empty()) {
      builder_.take(closed, std::string(format_.next) + std::string(format_.open), names_);
    }
    return start;
  }

  StateId json() {
    return rules_.schema.is_null() ? json_.object() : schema(rules_.schema, rules_.schema_place);
  }

  void arguments(const CallableTool& tool, StateId from) {
    builder_.call(from, schema(tool.parameters, tool.place), after_arguments_);
  }

  StateId schema(const nlohmann::ordered_json& schema, const std::string& place) {
    try {
      schema_rules_.push_back({grammar::schema_rule(schema, builder_, json_), place});
    } catch (const Error& error) {
      throw SchemaError(place, error.what());
    }
    return schema_rules_.back().start;
  }

  const CallFormat& format_;
  const AnswerRules& rules_;
  GrammarBuilder builder_;
  grammar::JsonRules json_;
  std::vector<Rule> schema_rules_;
  StateId text_states_ = 0;
  // Of calls():
  StateId names_ = kNoState;
  std::vector<StateId> argument_places_;  // by tool
  StateId after_arguments_ = kNoState;
};

}  // namespace

std::string opening(const CallFormat& format) {
  return std::string(format.first) + std::string(format.open);
}

bool can_be_bare(const CallFormat& format, const AnswerRules& rules) {
  return format.bare && rules.content != ContentKind::Json && !rules.tools.empty();
}

AnswerGrammar answer_grammar(const CallFormat& format, const AnswerRules& rules) {
  return AnswerBuilder(format, rules).build();
}

}  // namespace lockstep::constrain
