// A run as one page to look at in a browser: the chip's floor plan coloured by use, the step along time, what
// the time goes by with, every operator beside its bounds, and energy. It asks for nothing outside itself.
#pragma once

#include <string>

#include "targets/lpu/energy.h"
#include "targets/lpu/look/activity.h"

namespace lockstep::targets::lpu {

struct PageSubject {
  const program::Program& program;
  const machine::Machine& machine;
  const program::Entry& entry;
  const NodeMap& map;
  const Activity& activity;
  const EnergyUse& energy;  // of the window
};

// The page's whole text.
std::string page(const PageSubject& subject);

// A row of shares from 0 to 127 a byte, zeros in runs: 128 + n stands for n + 1 of them. Shares are of
// `full`, rounded to nearest, and what is not zero stays above it. Appends to `out`.
void pack_shares(const Bins& bins, double full, std::string& out);

// Seven bits a byte, least significant first, the top bit set but in the last. Appends to `out`.
void pack_number(uint64_t number, std::string& out);

std::string base64(const std::string& bytes);

// Bins of a page that stays below a few megabytes.
uint32_t page_bins(uint32_t chips);

}  // namespace lockstep::targets::lpu
