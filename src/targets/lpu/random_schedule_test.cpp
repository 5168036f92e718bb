// Random programs on the simulator and on the naive model of naive_chip.h: both stop or both end with the
// same memory. And instructions moved by one cycle: what that changes is caught.
#include <random>

#include "targets/lpu/naive_chip.h"

namespace lockstep::targets::lpu {
namespace {

// Builds up a schedule that does not stop, one random instruction after another, most of them aimed at values
// that are on their way.
class RandomSchedule {
 public:
  // Spaced: nothing stands next to anything that could be mistaken for it. Values keep a cycle's distance on
  // their stream, an ALU is used once, a plane gets weights once, rows are written once.
  RandomSchedule(uint64_t seed, bool spaced) : schedule(small_machine()), random_(seed), spaced_(spaced) {
    std::vector<std::byte> permutation(2 * kLanes_), distribution(2 * 16);
    for (uint32_t i = 0; i < kLanes_; ++i) permutation[2 * i] = static_cast<std::byte>((5 * i + 3) % kLanes_);
    for (uint32_t i = 0; i < 32; ++i) distribution[i] = static_cast<std::byte>(i % 7 == 0 ? 255 : 3 * i % 16);
    schedule.file("permutations", permutation);
    schedule.file("distributions", distribution);
    for (uint32_t hemisphere : {0u, 1u}) {
      for (uint32_t slice = 0; slice < schedule.machine().geometry.slices; ++slice) {
        for (uint32_t row = 0; row < kRows; ++row) {
          for (std::byte& lane : schedule.row(slice_name(hemisphere, slice), row)) {
            lane = static_cast<std::byte>(random_());
          }
        }
        // Maps: small numbers, and no access.
        for (std::byte& lane : schedule.row(slice_name(hemisphere, slice), 0)) lane = std::byte(below(3));
        for (std::byte& lane : schedule.row(slice_name(hemisphere, slice), 1)) {
          lane = below(4) == 0 ? std::byte{128} : std::byte{0};
        }
      }
    }
  }

  static std::string slice_name(uint32_t hemisphere, uint32_t slice) {
    return (hemisphere == 0 ? "c0.mem.e." : "c0.mem.w.") + std::to_string(slice);
  }
  uint32_t below(uint64_t n) { return static_cast<uint32_t>(random_() % n); }

  // One more instruction, or several that belong together. `kept`: whether it goes on without a stop.
  template <class Check>
  void grow(Check check) {
    const Schedule before = schedule;
    if (!propose()) {
      schedule = before;
      return;
    }
    NaiveChip naive(schedule);
    const bool runs = naive.run();
    check(schedule, naive, runs);
    if (!runs || (spaced_ && crowded(naive))) {
      schedule = before;
    } else {
      seen_ = std::move(naive.seen);
    }
  }

  // Moves one instruction by a cycle; false where that cannot be.
  bool move_one() {
    auto queue = schedule.queues.begin();
    std::advance(queue, below(schedule.queues.size()));
    if (queue->second.empty()) return false;
    auto step = queue->second.begin();
    std::advance(step, below(queue->second.size()));
    const uint64_t from = step->first, to = below(2) == 0 ? from + 1 : from - 1;
    if (from == 0 && to != 1) return false;
    const Schedule::Step moved = step->second;
    queue->second.erase(step);
    return place(queue->first, to, moved);
  }

  Schedule schedule;

 private:
  static constexpr uint32_t kLanes_ = NaiveChip::kNaiveLanes, kRows = 4;

  // An instruction where its queue is free.
  bool place(const std::string& name, uint64_t cycle, const Schedule::Step& step) {
    Schedule::Steps& steps = schedule.queues[name];
    const auto after = steps.lower_bound(cycle);
    if (after != steps.end() && after->first <= cycle + step.times * step.every) return false;
    if (after != steps.begin()) {
      const auto& [begin, before] = *std::prev(after);
      if (begin + before.times * before.every >= cycle) return false;
    }
    steps.emplace(cycle, step);
    return true;
  }

  // A value that passes a place; nullptr if none does.
  const NaiveChip::Seen* passing(uint32_t hemisphere, uint32_t position, uint32_t multiple = 1) {
    for (int attempt = 0; attempt < 200 && !seen_.empty(); ++attempt) {
      const NaiveChip::Seen& value = seen_[below(seen_.size())];
      if (value.hemisphere == hemisphere && value.position == position && value.stream % multiple == 0) {
        return &value;
      }
    }
    return nullptr;
  }
  uint64_t stream(uint32_t multiple) { return below(64 / multiple) * multiple; }
  uint64_t fresh_row() { return spaced_ ? next_row_++ % 60 + kRows : below(8); }
  std::string hemisphere_name(const char* unit, uint32_t hemisphere, uint32_t place) const {
    return std::string("c0.") + unit + (hemisphere == 0 ? ".e." : ".w.") + std::to_string(place);
  }

  bool propose() {
    const uint32_t hemisphere = below(2);
    switch (below(10)) {
      case 0:
        return read_streams(hemisphere, 1);
      case 1:
        return read_streams(hemisphere, 4);
      case 2:
        return load_weights(hemisphere);
      case 3:
      case 4:
        return write(hemisphere);
      case 5:
        return mapped(hemisphere);
      case 6:
      case 7:
        return operate();
      case 8:
        return multiply(hemisphere);
      default:
        return switch_lanes(hemisphere);
    }
  }

  // Slices side by side read onto streams side by side.
  bool read_streams(uint32_t hemisphere, uint32_t count) {
    const uint32_t slice = below(20 / count) * count;
    const uint64_t first = stream(count), cycle = below(60);
    const bool repeats = !spaced_ && below(4) == 0;
    const uint64_t row = below(repeats ? 2 : spaced_ ? kRows : 8);
    const uint64_t times = repeats ? 1 + below(2) : 0, every = repeats ? 1 + below(3) : 0;
    for (uint32_t k = 0; k < count; ++k) {
      const Schedule::Step step = {LpuOp::Read, {row, first + k, repeats ? 1u : 0u}, times, every};
      if (!place(slice_name(hemisphere, slice + k), cycle, step)) return false;
    }
    return true;
  }

  // 16 slices onto 16 outward streams, there together at the plane; then the whole way of a product.
  bool load_weights(uint32_t hemisphere) {
    const machine::Machine& machine = schedule.machine();
    const uint32_t plane = below(2), group = below(2);
    if (spaced_ && !planes_used_.insert({hemisphere, plane}).second) return false;
    const uint64_t first = (hemisphere == 0 ? 0 : 32) + below(2) * 16, start = below(40), row = below(kRows);
    for (uint32_t k = 0; k < 16; ++k) {
      const Schedule::Step step = {LpuOp::Read, {row, first + k, 0}, 0, 0};
      if (!place(slice_name(hemisphere, k), start + k / 4, step)) return false;
    }
    const uint64_t load = start + machine.latency.mem_read + machine.hops.mxm - machine.hops.mem_first;
    const uint64_t install = load + machine.latency.mxm_load + below(3);
    const std::string name = hemisphere_name("mxm", hemisphere, 3 * plane);
    return place(name, load, {LpuOp::LoadWeights, {first, group}, 0, 0}) &&
           place(name, install, {LpuOp::InstallWeights, {}, 0, 0});
  }

  bool write(uint32_t hemisphere) {
    const uint32_t slice = below(20);
    const NaiveChip::Seen* value = passing(hemisphere, schedule.machine().mem_hop(slice));
    if (value == nullptr) return false;
    return place(slice_name(hemisphere, slice), value->cycle,
                 {LpuOp::Write, {fresh_row(), value->stream, 0}, 0, 0});
  }

  bool mapped(uint32_t hemisphere) {
    const uint32_t from = below(5) * 4, slice = below(20);
    const bool gathers = below(2) == 0;
    if (spaced_ && !gathers) return false;
    const uint64_t map = stream(2);
    const bool is_outward = (map < 32) == (hemisphere == 0);
    const uint32_t x = schedule.machine().mem_hop(from), y = schedule.machine().mem_hop(slice);
    if (is_outward ? x > y : x < y) return false;
    const uint64_t way = schedule.machine().latency.mem_read + (is_outward ? y - x : x - y);
    const NaiveChip::Seen* value = gathers ? nullptr : passing(hemisphere, y);
    if (!gathers && (value == nullptr || value->cycle < way)) return false;
    const uint64_t taken = gathers ? way + below(60) : value->cycle;
    if (!place(slice_name(hemisphere, from), taken - way, {LpuOp::Read, {0, map, 0}, 0, 0}) ||
        !place(slice_name(hemisphere, from + 1), taken - way, {LpuOp::Read, {1, map + 1, 0}, 0, 0})) {
      return false;
    }
    const Schedule::Step step = gathers
                                    ? Schedule::Step{LpuOp::Gather, {below(2), stream(1), map}, 0, 0}
                                    : Schedule::Step{LpuOp::Scatter, {below(4), value->stream, map}, 0, 0};
    return place(slice_name(hemisphere, slice), taken, step);
  }

  bool operate() {
    static constexpr LpuOp kOps[] = {LpuOp::Move,           LpuOp::IntegerAdd, LpuOp::IntegerMultiplyAdd,
                                     LpuOp::IntegerMaximum, LpuOp::Select,     LpuOp::RSqrt,
                                     LpuOp::Int32ToFloat,   LpuOp::ShiftRight};
    const LpuOp op = kOps[below(std::size(kOps))];
    const uint32_t alu = below(spaced_ ? 16 : 4);
    if (spaced_ && !alus_used_.insert(alu).second) return false;
    uint64_t cycle = below(80);
    std::vector<uint64_t> words = {none(), none(), none(), below(1000)};
    for (uint32_t i = 0; i < program::isa::vxm_operands(op); ++i) {
      const uint32_t hemisphere = below(2);
      const NaiveChip::Seen* value = i == 0 && below(3) != 0 ? passing(hemisphere, 0) : nullptr;
      // Position 0 of an outward stream is behind the VXM.
      if (value != nullptr && (value->stream < 32) == (hemisphere == 1)) {
        cycle = value->cycle + schedule.machine().latency.vxm_entry;
        const OperandKind kinds[] = {OperandKind::Int8, OperandKind::Uint8, OperandKind::Word,
                                     OperandKind::Int16};
        const OperandKind kind = kinds[below(value->stream % 4 == 0 ? 4 : value->stream % 2 == 0 ? 2 : 1)];
        words[i] = on(kind, value->stream);
      } else {
        words[i] = below(2) == 0 ? immediate() : result(static_cast<uint8_t>(below(spaced_ ? 16 : 4)));
      }
    }
    const uint64_t bytes[] = {1, 2, 4};
    const uint64_t count = bytes[below(3)];
    const uint64_t out_east = below(2) == 0 ? kNo : below(32 / count) * count;
    const uint64_t out_west = below(2) == 0 ? kNo : 32 + below(32 / count) * count;
    words.push_back(out_east);
    words.push_back(out_west);
    words.push_back(out_east == kNo && out_west == kNo ? 0 : count);
    return place("c0.vxm." + std::to_string(alu), cycle, {op, words, 0, 0});
  }

  bool multiply(uint32_t hemisphere) {
    const machine::Machine& machine = schedule.machine();
    const uint32_t plane = below(2), entry = below(3);
    const NaiveChip::Seen* value = passing(hemisphere, machine.hops.mxm);
    if (value == nullptr || (value->stream < 32) != (hemisphere == 0)) return false;
    const uint64_t result_cycle = value->cycle + machine.latency.mxm_product + below(3);
    if (!place(hemisphere_name("mxm", hemisphere, 3 * plane + 1), value->cycle,
               {LpuOp::ActivationControl, {value->stream, entry, below(2), 0}, 0, 0})) {
      return false;
    }
    return below(3) == 0 ||
           place(hemisphere_name("mxm", hemisphere, 3 * plane + 2), result_cycle,
                 {LpuOp::Accumulate, {entry, (hemisphere == 0 ? 32u : 0u) + below(8) * 4, 0}, 0, 0});
  }

  bool switch_lanes(uint32_t hemisphere) {
    struct Kind {
      LpuOp op;
      uint32_t place;
    };
    static constexpr Kind kKinds[] = {{LpuOp::Permute, 0},   {LpuOp::Distribute, 4}, {LpuOp::ShiftUp, 7},
                                      {LpuOp::ShiftDown, 8}, {LpuOp::Rotate, 9},     {LpuOp::Transpose, 1}};
    const Kind kind = kKinds[below(std::size(kKinds))];
    const bool wide = kind.op == LpuOp::Transpose;
    const NaiveChip::Seen* value = passing(hemisphere, schedule.machine().hops.sxm, wide ? 16 : 4);
    if (value == nullptr) return false;
    std::vector<uint64_t> words = {value->stream, stream(wide ? 16 : 4)};
    switch (kind.op) {
      case LpuOp::Permute:
        words.push_back(0);
        break;
      case LpuOp::Distribute:
        words.push_back(below(2));
        break;
      case LpuOp::Rotate:
        words[1] = stream(8);
        words.push_back(below(14));
        words.push_back(1 + below(2));
        break;
      case LpuOp::Transpose:
        break;
      default:
        words.push_back(below(kLanes_));
    }
    return place(hemisphere_name("sxm", hemisphere, kind.place), value->cycle, {kind.op, words, 0, 0});
  }

  // Whether two values on a stream are one cycle apart.
  static bool crowded(const NaiveChip& naive) {
    std::set<std::array<uint64_t, 4>> all;
    for (const NaiveChip::Seen& value : naive.seen) {
      all.insert({value.hemisphere, value.stream, value.position, value.cycle});
    }
    return std::any_of(all.begin(), all.end(), [&](std::array<uint64_t, 4> value) {
      ++value[3];
      return all.contains(value);
    });
  }

  std::mt19937_64 random_;
  const bool spaced_;
  uint64_t next_row_ = 0;
  std::set<uint32_t> alus_used_;
  std::set<std::pair<uint32_t, uint32_t>> planes_used_;
  std::vector<NaiveChip::Seen> seen_;
};

std::map<LpuOp, int> operations_of(const Schedule& schedule) {
  std::map<LpuOp, int> counts;
  for (const auto& [name, steps] : schedule.queues) {
    for (const auto& [cycle, step] : steps) ++counts[step.op];
  }
  return counts;
}
bool contains(const Schedule& schedule, LpuOp a, LpuOp b) {
  const std::map<LpuOp, int> counts = operations_of(schedule);
  return counts.contains(a) || counts.contains(b);
}

// Whether the simulator ends as the naive model does; messages where not.
void expect_agreement(Schedule& schedule, const NaiveChip& naive, bool runs) {
  Outcome outcome(schedule);
  ASSERT_EQ(outcome.error.empty(), runs) << outcome.error;
  const Outcome timed(schedule, {.arithmetic = false});
  // Without values no row is known that a map leads to.
  if (runs || !contains(schedule, LpuOp::Gather, LpuOp::Scatter)) {
    ASSERT_EQ(timed.error, outcome.error);
    ASSERT_EQ(timed.run.cycles, outcome.run.cycles);
  }
  if (!runs) return;
  for (const auto& [place, row] : naive.memory()) {
    const program::isa::UnitName unit = program::isa::parse_unit_name(place.first);
    const std::vector<int> got =
        outcome.row(unit.hemisphere, unit.place, static_cast<uint32_t>(place.second));
    ASSERT_EQ(!got.empty(), naive.written(place.first, place.second));
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(static_cast<uint8_t>(got[i]), row[i])
          << place.first << " row " << place.second << " lane " << i;
    }
  }
}

constexpr int kPrograms = 30, kInstructions = 60;

TEST(RandomScheduleTest, AgreesWithTheNaiveModel) {
  int ran = 0, stopped = 0;
  std::map<LpuOp, int> operations;
  for (uint64_t seed = 0; seed < kPrograms; ++seed) {
    RandomSchedule random(seed, false);
    for (int i = 0; i < kInstructions && !testing::Test::HasFatalFailure(); ++i) {
      random.grow([&](Schedule& schedule, const NaiveChip& naive, bool runs) {
        SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(i));
        ++(runs ? ran : stopped);
        expect_agreement(schedule, naive, runs);
      });
    }
    for (const auto& [op, count] : operations_of(random.schedule)) operations[op] += count;
  }
  RecordProperty("ran", ran);
  RecordProperty("stopped", stopped);
  EXPECT_GT(ran, kPrograms * kInstructions / 4);
  EXPECT_GT(stopped, kPrograms * kInstructions / 10);
  for (LpuOp op : {LpuOp::Read, LpuOp::Write, LpuOp::Gather, LpuOp::Scatter, LpuOp::Move,
                   LpuOp::IntegerMultiplyAdd, LpuOp::RSqrt, LpuOp::LoadWeights, LpuOp::InstallWeights,
                   LpuOp::ActivationControl, LpuOp::Accumulate, LpuOp::Permute, LpuOp::Distribute,
                   LpuOp::ShiftUp, LpuOp::ShiftDown, LpuOp::Rotate, LpuOp::Transpose}) {
    EXPECT_GT(operations[op], 3) << program::isa::lpu().find(static_cast<uint16_t>(op))->name;
  }
}

// Where nothing else stands beside a value, an instruction that moves by a cycle is caught, or harmless.
TEST(RandomScheduleTest, MovedInstructionsAreCaughtOrHarmless) {
  int caught = 0, harmless = 0;
  for (uint64_t seed = 1000; seed < 1000 + kPrograms; ++seed) {
    RandomSchedule random(seed, true);
    for (int i = 0; i < kInstructions; ++i) random.grow([](Schedule&, const NaiveChip&, bool) {});
    NaiveChip right(random.schedule);
    ASSERT_TRUE(right.run());
    const Schedule whole = random.schedule;
    for (int i = 0; i < kInstructions; ++i) {
      random.schedule = whole;
      if (!random.move_one()) continue;
      SCOPED_TRACE("seed " + std::to_string(seed) + " move " + std::to_string(i));
      Outcome outcome(random.schedule);
      if (!outcome.error.empty()) {
        ++caught;
        continue;
      }
      ++harmless;
      expect_agreement(random.schedule, right, true);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  RecordProperty("caught", caught);
  RecordProperty("harmless", harmless);
  EXPECT_GT(caught, kPrograms * 10);
  EXPECT_GT(harmless, kPrograms);
}

// In crowded programs a moved instruction may take its neighbour's value, as on the chip. Both models then
// take the same one.
TEST(RandomScheduleTest, MovedInstructionsOfCrowdedProgramsAgree) {
  for (uint64_t seed = 2000; seed < 2000 + kPrograms / 2; ++seed) {
    RandomSchedule random(seed, false);
    for (int i = 0; i < kInstructions; ++i) random.grow([](Schedule&, const NaiveChip&, bool) {});
    const Schedule whole = random.schedule;
    for (int i = 0; i < 30; ++i) {
      random.schedule = whole;
      if (!random.move_one()) continue;
      SCOPED_TRACE("seed " + std::to_string(seed) + " move " + std::to_string(i));
      NaiveChip naive(random.schedule);
      const bool runs = naive.run();
      expect_agreement(random.schedule, naive, runs);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace lockstep::targets::lpu
