// BLAKE2b-256 of several messages at once, each in a lane of vector registers: one core hashes several times
// as many bytes as with one message after another, because the rounds of one message wait for each other.
#pragma once

#include <span>

#include "base/hash.h"

namespace lockstep {

// How many messages are worth giving to blake2b_lanes at once.
inline constexpr size_t kBlake2bLanes = 8;

// Writes the hash of messages[i], as blake2b gives it, to hashes[i]. REQUIRES: up to kBlake2bLanes messages.
// Fast for kBlake2bLanes messages of one length; others take their turn.
void blake2b_lanes(std::span<const Bytes> messages, std::span<Hash256> hashes);

}  // namespace lockstep
