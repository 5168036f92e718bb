#include "targets/lpu/switch_unit.h"

#include <algorithm>

#include "base/error.h"
#include "targets/lpu/file_memory.h"

namespace lockstep::targets::lpu {

using program::isa::LpuOp;

static constexpr uint32_t kDistributeZero = 255;

SwitchMaps::SwitchMaps(const program::Program& program, const machine::Machine& machine, bool arithmetic)
    : lanes_(machine.geometry.lanes()) {
  const uint32_t width = machine.geometry.superlane_lanes;
  const uint32_t permutations = find_memory(program, "permutations");
  const uint32_t distributions = find_memory(program, "distributions");
  if (permutations != program::kNone) permutations_ = program.memories[permutations].bytes / (2 * lanes_);
  if (distributions != program::kNone) distributions_ = program.memories[distributions].bytes / width;
  if (!arithmetic) return;

  const Bytes sources = contents_of(program, permutations), spread = contents_of(program, distributions);
  permutations_ = sources.size() / (2 * lanes_);
  distributions_ = spread.size() / width;
  std::vector<bool> taken(lanes_);
  for (uint64_t i = 0; i < permutations_ * lanes_; ++i) {
    if (i % lanes_ == 0) taken.assign(lanes_, false);
    const uint32_t source = static_cast<uint32_t>(sources[2 * i]) | static_cast<uint32_t>(sources[2 * i + 1])
                                                                        << 8;
    if (source >= lanes_ || taken[source]) {
      user_error("{}: permutation {} is none of {} lanes", program.model_name, i / lanes_, lanes_);
    }
    taken[source] = true;
    permutation_lanes_.push_back(static_cast<int16_t>(source));
  }
  for (uint64_t map = 0; map < distributions_; ++map) {
    for (uint32_t lane = 0; lane < lanes_; ++lane) {
      const auto source = static_cast<uint32_t>(spread[map * width + lane % width]);
      if (source >= width && source != kDistributeZero) {
        user_error("{}: distribution {} takes lane {} of superlanes of {} lanes", program.model_name, map,
                   source, width);
      }
      distribution_lanes_.push_back(
          source == kDistributeZero ? kZero : static_cast<int16_t>(lane - lane % width + source));
    }
  }
}

void SwitchUnit::execute(const Issue& issue) {
  switch (issue.instruction.op) {
    case LpuOp::Permute:
      return permute(issue);
    case LpuOp::Distribute:
      return distribute(issue);
    case LpuOp::Rotate:
      return rotate(issue);
    case LpuOp::Transpose:
      return transpose(issue);
    default:
      return shift(issue);
  }
}

template <class Source>
void SwitchUnit::move_words(const Issue& issue, uint32_t out, uint32_t latency, Source source) {
  const uint32_t lanes = context_.machine.geometry.lanes();
  ++context_.events.sxm_operations;
  for (uint32_t b = 0; b < 4; ++b) {
    const Vector* from = context_.streams.take(issue, place_, issue.instruction.fields[0] + b, issue.cycle);
    Vector* to = context_.streams.put(issue, place_, out + b, issue.cycle + latency);
    if (to == nullptr) continue;
    for (uint32_t lane = 0; lane < lanes; ++lane) {
      const int32_t taken = source(lane);
      to->lanes[lane] = taken < 0 ? std::byte{} : from->lanes[taken];
    }
    context_.power(issue, *to);
  }
}

static void require_map(const Issue& issue, uint64_t map, uint64_t count) {
  if (map >= count) stop(issue, "map {} is not in the program, which has {}", map, count);
}

void SwitchUnit::permute(const Issue& issue) {
  const uint32_t map = issue.instruction.fields[2];
  require_map(issue, map, maps_.permutations());
  const int16_t* sources = context_.arithmetic ? maps_.permutation(map) : nullptr;
  move_words(issue, issue.instruction.fields[1], context_.machine.latency.sxm_permute,
             [&](uint32_t lane) { return sources[lane]; });
}

void SwitchUnit::distribute(const Issue& issue) {
  const uint32_t map = issue.instruction.fields[2];
  require_map(issue, map, maps_.distributions());
  const int16_t* sources = context_.arithmetic ? maps_.distribution(map) : nullptr;
  move_words(issue, issue.instruction.fields[1], context_.machine.latency.sxm_distribute,
             [&](uint32_t lane) { return sources[lane]; });
}

void SwitchUnit::shift(const Issue& issue) {
  const auto lanes = static_cast<int32_t>(context_.machine.geometry.lanes());
  const int32_t by = issue.instruction.fields[2];
  const int32_t away = issue.instruction.op == LpuOp::ShiftUp ? -by : by;
  move_words(issue, issue.instruction.fields[1], context_.machine.latency.sxm_shift, [&](uint32_t lane) {
    const int32_t from = static_cast<int32_t>(lane) + away;
    return from < lanes ? from : -1;
  });
}

void SwitchUnit::rotate(const Issue& issue) {
  const uint32_t width = context_.machine.geometry.superlane_lanes;
  const uint32_t first = issue.instruction.fields[2], count = issue.instruction.fields[3];
  for (uint32_t k = 0; k < count; ++k) {
    move_words(issue, issue.instruction.fields[1] + 4 * k, context_.machine.latency.sxm_rotate,
               [&](uint32_t lane) {
                 const uint32_t in_superlane = lane % width;
                 return static_cast<int32_t>(lane - in_superlane + (in_superlane + first + k) % width);
               });
  }
}

void SwitchUnit::transpose(const Issue& issue) {
  constexpr uint32_t kStreams = 16;
  const uint32_t width = context_.machine.geometry.superlane_lanes;
  const Vector* from[kStreams];
  Vector* to[kStreams];
  for (uint32_t k = 0; k < kStreams; ++k) {
    from[k] = context_.streams.take(issue, place_, issue.instruction.fields[0] + k, issue.cycle);
  }
  for (uint32_t k = 0; k < kStreams; ++k) {
    to[k] = context_.streams.put(issue, place_, issue.instruction.fields[1] + k,
                                 issue.cycle + context_.machine.latency.sxm_transpose);
  }
  context_.events.sxm_operations += kStreams / 4;
  if (!context_.arithmetic) return;
  for (uint32_t j = 0; j < context_.machine.geometry.superlanes; ++j) {
    for (uint32_t k = 0; k < kStreams; ++k) {
      for (uint32_t lane = 0; lane < width; ++lane) {
        to[k]->lanes[j * width + lane] = from[lane]->lanes[j * width + k];
      }
    }
  }
  for (Vector* vector : to) context_.power(issue, *vector);
}

}  // namespace lockstep::targets::lpu
