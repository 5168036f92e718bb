// Names for requests and answers, of which no two are alike.
#pragma once

#include <cstdint>
#include <string>

namespace lockstep {

// 26 lower-case characters of Crockford's base 32: 48 bits of milliseconds since 1970, then 80 random ones,
// so that later ids sort after earlier ones.
std::string new_ulid();
// A random UUID, version 4.
std::string new_uuid();
// 32 random bits, which every JSON reader can hold: a seed for a request that names none.
uint64_t new_seed();
int64_t unix_seconds();

}  // namespace lockstep
