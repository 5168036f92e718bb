// Regular expressions of JSON Schema's `pattern`, as automata.
#pragma once

#include <string_view>

#include "grammar/automaton.h"

namespace lockstep::grammar {

// The texts in which the pattern matches somewhere. It is UTF-8 and of this part of ECMA-262 (with its flag
// u): characters, `.`, classes, \d \w \s and their opposites, groups, alternatives, the quantifiers * + ?
// {n,m} and their lazy forms (the same texts), `^` and `$`. Where readers of patterns differ about a
// character (is an Arabic digit \d?) no text has it there: what is in the set matches for all of them.
// Throws a user's error, the end of a sentence about the pattern, for anything else and for what is too
// large.
Automaton pattern_automaton(std::string_view pattern, Effort& effort);

}  // namespace lockstep::grammar
