#include "server/openapi/openapi_document.h"

#include "base/error.h"
#include "server/openapi/openapi_texts.h"

namespace lockstep::server {

namespace {

// Moves the members of one object into another, which has none of them.
void move_members(ReplyJson& from, ReplyJson& to) {
  for (auto& [name, value] : from.items()) {
    LOCKSTEP_CHECK(!to.contains(name));
    to[name] = std::move(value);
  }
}

}  // namespace

ReplyJson openapi_document(const ServedModel& model) {
  ReplyJson document, paths = ReplyJson::object(), components = ReplyJson::object();
  for (const std::string_view text : openapi_texts()) {
    ReplyJson part = ReplyJson::parse(text);
    move_members(part["paths"], paths);
    for (auto& [kind, members] : part["components"].items()) move_members(members, components[kind]);
    part.erase("paths");
    part.erase("components");
    move_members(part, document);
  }
  components["schemas"]["Model"]["enum"] = model.ids;
  components["schemas"]["TokenId"]["maximum"] = model.tokenizer.vocabulary().tokens.size() - 1;
  document["paths"] = std::move(paths);
  document["components"] = std::move(components);
  return document;
}

}  // namespace lockstep::server
