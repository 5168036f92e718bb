// What a machine's numbers give where the public record has a number too: bandwidths, times, sizes.
#pragma once

#include <span>

#include "machine/machine.h"

namespace lockstep::machine {

// A machine file may hold what is published under [published], by a figure's name.
struct Figure {
  const char* name;
  const char* title;
  const char* unit;
  double (*predict)(const Machine&);
};
std::span<const Figure> figures();

// Cycles from the first Read of the weights of all planes to the first ActivationControl that may use them.
// Each hemisphere loads its own planes, as many at once as its streams carry, from the slices nearest them.
uint32_t weights_cycles(const Machine& machine);

// Cycles of a walk through every unit: transposed in the SXM, to the VXM, three operations, back to the SXM
// and distributed there.
uint32_t chain_cycles(const Machine& machine);

// Cycles from a Read on one chip to the first Read that sees the vector on a neighbour; slices in the middle.
uint32_t hop_cycles(const Machine& machine);

// Cycles until every chip of a group has the sum over all chips of one vector. In a node each chip sends to
// all others and adds what it gets, two sums an operation; groups of nodes do so three times: inside the
// node, between the nodes, inside the node.
uint32_t all_reduce_cycles(const Machine& machine, uint32_t chips);

}  // namespace lockstep::machine
