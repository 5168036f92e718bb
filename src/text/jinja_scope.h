// Where names live while a template renders.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "text/jinja_value.h"

namespace lockstep::text::jinja {

// A scope keeps the ones around it alive, since a macro may outlive the block that defined it.
struct Scope {
  explicit Scope(std::shared_ptr<Scope> parent_) : parent(std::move(parent_)) {}

  const Value* find(const std::string& name) const {
    for (const Scope* scope = this; scope; scope = scope->parent.get()) {
      auto found = scope->variables.find(name);
      if (found != scope->variables.end()) return &found->second;
    }
    return nullptr;
  }

  std::shared_ptr<Scope> parent;
  std::unordered_map<std::string, Value> variables;
};
using ScopePointer = std::shared_ptr<Scope>;

}  // namespace lockstep::text::jinja
