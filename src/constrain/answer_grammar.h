// What an answer may be, and the grammar of that.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "constrain/call_format.h"
#include "grammar/grammar.h"

namespace lockstep::constrain {

struct CallableTool {
  std::string name;                   // [A-Za-z0-9_-]+
  nlohmann::ordered_json parameters;  // a schema of objects
  std::string place;                  // of the schema in the request, for errors
};

enum class ContentKind : uint8_t {
  Text,    // any text without the format's `begin`, and calls may follow it
  Json,    // a JSON text of `schema`, or calls
  Absent,  // calls alone
};

struct AnswerRules {
  ContentKind content = ContentKind::Text;
  nlohmann::ordered_json schema = {};    // of Json; null: any object
  std::string schema_place = {};         // in the request
  std::vector<CallableTool> tools = {};  // that may be called, none of them twice
  bool one_call = false;                 // rather than one or more
};

// What stands between the format's `begin` and the first call's name.
std::string opening(const CallFormat& format);
// An answer may begin with that, without `begin`. A JSON text could not be told from it.
bool can_be_bare(const CallFormat& format, const AnswerRules& rules);

// A schema that a grammar can not be made of, said with its place in the request.
class SchemaError : public Error {
 public:
  SchemaError(std::string place, const std::string& message)
      : Error(ErrorKind::User, message), place_(std::move(place)) {}
  const std::string& place() const { return place_; }

 private:
  std::string place_;
};

struct AnswerGrammar {
  grammar::Grammar grammar;
  grammar::StateId free_states = 0;  // those before it are within any text
};

// Every text of the grammar is such an answer, down to the tools' schemas. Throws a SchemaError.
AnswerGrammar answer_grammar(const CallFormat& format, const AnswerRules& rules);

}  // namespace lockstep::constrain
