// How models write calls of tools. One table has them all.
#pragma once

#include <span>
#include <string_view>

namespace lockstep::constrain {

// Calls are `begin` `first` CALL, further CALLs after `next` each, and `end`; a CALL is `open` NAME `middle`
// ARGUMENTS `close`, where the arguments are a JSON object and the name has none of middle's first byte.
struct CallFormat {
  std::string_view name;
  std::string_view begin;  // no text has it but to call
  std::string_view first;
  std::string_view open;
  std::string_view middle;
  std::string_view close;
  std::string_view next;  // empty: one call alone
  std::string_view end;
  bool bare = false;  // at an answer's start, `first` and `open` call without `begin` as well
};

// The form in which a model is told to call whose template shows no other.
const CallFormat& hermes_format();
// The format that a chat template asks its model for, by what its source spells; null: none that is known, or
// the template has no tools.
const CallFormat* format_of_template(std::string_view source);
std::span<const CallFormat> call_formats();

// A text that the model writes in this format has `part` in it.
bool spells(const CallFormat& format, std::string_view part);

}  // namespace lockstep::constrain
