// Every pair of splits, in both modes: where workers that run one queue meet.
#include "program/hazards.h"

#include <gtest/gtest.h>

#include <array>

namespace lockstep::program {
namespace {

using isa::Access;
using isa::Field;
using isa::FieldKind;
using isa::Split;

constexpr std::array kSplits = {Split::Whole, Split::Rows,   Split::Panels,
                                Split::Heads, Split::Copies, Split::AnyCopy};
constexpr std::array kAccesses = {Access::Read, Access::Write, Access::Update};

// An instruction set of one opcode for every split and access of a region or of the state.
struct EveryTouch {
  std::vector<Field> fields;
  std::vector<isa::Opcode> opcodes;
  isa::InstructionSet set{"test", 1, 0, {}};
  Program program;

  EveryTouch() {
    for (FieldKind kind : {FieldKind::Region, FieldKind::State}) {
      for (Split split : kSplits) {
        for (Access access : kAccesses) fields.push_back({"x", kind, access, split, true});
      }
    }
    for (size_t i = 0; i < fields.size(); ++i)
      opcodes.push_back({static_cast<uint16_t>(i), "touch", {&fields[i], 1}});
    set.opcodes = opcodes;
    program.memories = {{"scratch", MemoryKind::Scratch, 4096}, {"kv", MemoryKind::State, 4096}};
    program.parameters = {{"rows", 1, 8}};
    program.regions = {{"a", 0, 0, Element::F32, 4, 16, RowCount::Rows},
                       {"over a", 0, 64, Element::F32, 4, 16, RowCount::Rows},
                       {"beside a", 0, 128, Element::F32, 4, 16, RowCount::Rows}};
    program.state.memory = 1;
    program.state.layers = 4;
  }
  EveryTouch(const EveryTouch&) = delete;

  Instruction touch(FieldKind kind, Split split, Access access, uint64_t operand) const {
    for (size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].kind == kind && fields[i].split == split && fields[i].access == access) {
        return {static_cast<uint16_t>(i), {operand}};
      }
    }
    return {};
  }

  bool meet(RowsMode mode, const Instruction& first, const Instruction& second) const {
    HazardTracker tracker(program, set, mode);
    tracker.add(first);
    return tracker.conflicts(second);
  }
};

// What the rules say, written out: with few rows copies are private; with many, Copies is Rows and AnyCopy is
// Whole; the same partition of the same operand is safe; two reads are safe.
bool workers_meet(RowsMode mode, Split first, Access first_access, Split second, Access second_access,
                  bool same_operand) {
  auto is_copy = [](Split split) { return split == Split::Copies || split == Split::AnyCopy; };
  if (mode == RowsMode::Few && (is_copy(first) || is_copy(second))) return false;
  auto shared = [](Split split) {
    return split == Split::Copies ? Split::Rows : split == Split::AnyCopy ? Split::Whole : split;
  };
  if (first_access == Access::Read && second_access == Access::Read) return false;
  return !(same_operand && shared(first) == shared(second) && shared(first) != Split::Whole);
}

TEST(Hazards, EveryPairOfSplits) {
  const EveryTouch every;
  for (RowsMode mode : {RowsMode::Few, RowsMode::Many}) {
    for (FieldKind kind : {FieldKind::Region, FieldKind::State}) {
      for (Split a : kSplits) {
        for (Split b : kSplits) {
          for (Access x : kAccesses) {
            for (Access y : kAccesses) {
              for (uint64_t other : {0, 1, 2}) {
                // Of the state, another layer is elsewhere; of regions, 1 overlaps 0 and 2 does not.
                const bool apart = kind == FieldKind::State ? other != 0 : other == 2;
                const bool wanted = !apart && workers_meet(mode, a, x, b, y, other == 0);
                EXPECT_EQ(every.meet(mode, every.touch(kind, a, x, 0), every.touch(kind, b, y, other)),
                          wanted)
                    << static_cast<int>(mode) << static_cast<int>(kind) << " " << static_cast<int>(a)
                    << static_cast<int>(x) << " " << static_cast<int>(b) << static_cast<int>(y) << " "
                    << other;
              }
            }
          }
        }
      }
    }
  }
}

TEST(Hazards, OneRowRegionsEndEarlier) {
  EveryTouch every;
  every.program.regions[0].rows = RowCount::One;
  const Instruction write_a = every.touch(FieldKind::Region, Split::Whole, Access::Write, 0);
  const Instruction write_over = every.touch(FieldKind::Region, Split::Whole, Access::Write, 1);
  EXPECT_FALSE(every.meet(RowsMode::Many, write_a, write_over));
  every.program.regions[0].offset = 63;
  EXPECT_TRUE(every.meet(RowsMode::Many, write_a, write_over));
}

TEST(Hazards, ClearForgetsAndNoneTouchesNothing) {
  const EveryTouch every;
  const Instruction write = every.touch(FieldKind::Region, Split::Whole, Access::Write, 0);
  const Instruction none = every.touch(FieldKind::Region, Split::Whole, Access::Write, kNone);
  HazardTracker tracker(every.program, every.set, RowsMode::Few);
  tracker.add(none);
  EXPECT_FALSE(tracker.conflicts(write));
  tracker.add(write);
  EXPECT_FALSE(tracker.conflicts(none));
  EXPECT_TRUE(tracker.conflicts(write));
  tracker.clear();
  EXPECT_FALSE(tracker.conflicts(write));
}

TEST(Hazards, TooManyTouchesAskForAMeeting) {
  EveryTouch every;
  const size_t max = HazardTracker::kTouchesMax;
  every.program.regions.resize(max + 1, every.program.regions[0]);
  HazardTracker tracker(every.program, every.set, RowsMode::Few);
  for (size_t i = 0; i < max; ++i) {
    const Instruction read = every.touch(FieldKind::Region, Split::Whole, Access::Read, i);
    ASSERT_FALSE(tracker.conflicts(read)) << i;
    tracker.add(read);
    tracker.add(read);
  }
  EXPECT_TRUE(tracker.conflicts(every.touch(FieldKind::Region, Split::Whole, Access::Read, max)));
  tracker.clear();
  EXPECT_FALSE(tracker.conflicts(every.touch(FieldKind::Region, Split::Whole, Access::Read, max)));
}

}  // namespace
}  // namespace lockstep::program
