// For tests: a second model of one chip, slow and plain. Every stream register is a variable, every cycle all
// of them move one place, and what an instruction will give waits in a list for its cycle. It shares with the
// simulator the machine, the instruction table and the arithmetic of one lane.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "program/isa/lpu_alu.h"
#include "targets/lpu/test_chip.h"

namespace lockstep::targets::lpu {

class NaiveChip {
 public:
  static constexpr uint32_t kNaiveLanes = 32, kWidth = 16;
  using Row = std::array<uint8_t, kNaiveLanes>;
  using Sums = std::array<uint32_t, kNaiveLanes>;
  struct Stopped {};
  // A value in a register: hemisphere, stream, position, cycle.
  struct Seen {
    uint32_t hemisphere, stream, position;
    uint64_t cycle;
  };

  explicit NaiveChip(const Schedule& schedule) : schedule_(schedule), machine_(schedule.machine()) {
    for (const auto& [name, bytes] : schedule.memories) {
      for (size_t row = 0; row < bytes.size() / kNaiveLanes; ++row) {
        Row& to = memory_[{name, row}];
        for (uint32_t i = 0; i < kNaiveLanes; ++i) to[i] = static_cast<uint8_t>(bytes[row * kNaiveLanes + i]);
        written_[{name, row}] = {true, true};
      }
    }
    for (const auto& [name, steps] : schedule.queues) {
      for (const auto& [cycle, step] : steps) {
        for (uint64_t n = 0; n <= step.times; ++n) {
          const uint64_t at = cycle + n * step.every;
          plan_[at].push_back({name, &step, n});
          last_ = std::max(last_, at + 40);
        }
      }
    }
  }

  // Runs to the end; false if the chip stops.
  bool run() {
    try {
      for (now_ = 0; now_ <= last_; ++now_) cycle();
    } catch (const Stopped&) {
      return false;
    }
    return true;
  }

  const std::map<std::pair<std::string, uint64_t>, Row>& memory() const { return memory_; }
  bool written(const std::string& slice, uint64_t row) const {
    const auto found = written_.find({slice, row});
    return found != written_.end() && found->second[0] && found->second[1];
  }
  std::vector<Seen> seen;

 private:
  static constexpr uint32_t kPositions = 10;  // 0 to 9
  struct Planned {
    std::string name;
    const Schedule::Step* step;
    uint64_t n;
  };
  struct Arrival {
    uint32_t hemisphere, stream, position;
    Row row;
  };
  struct Store {
    std::string slice;
    uint64_t row;
    uint32_t superlane;
    Row value;
  };
  struct Product {
    uint64_t issued, lands;
    uint32_t entry;
    bool add;
    Sums sums;
  };
  struct Plane {
    std::array<Row, kNaiveLanes> buffer{}, coming{}, array{};
    std::optional<uint64_t> last_load, installed;
    bool has_weights = false;
    std::set<uint32_t> filled;
    std::map<uint32_t, Sums> sums;
    std::deque<Product> products;
  };

  [[noreturn]] static void stop() { throw Stopped{}; }
  static bool outward(uint32_t hemisphere, uint32_t stream) { return (stream < 32) == (hemisphere == 0); }

  void cycle() {
    move();
    for (const Arrival& a : arrivals_[now_]) {
      std::optional<Row>& there = registers_[a.hemisphere][a.stream][a.position];
      if (there) stop();
      there = a.row;
      for (uint32_t hops = 0; hops < kPositions; ++hops) {
        const bool out = outward(a.hemisphere, a.stream);
        if (out ? a.position + hops >= kPositions : hops > a.position) break;
        seen.push_back({a.hemisphere, a.stream, out ? a.position + hops : a.position - hops, now_ + hops});
      }
    }
    at_vxm_.push_front({});
    for (uint32_t stream = 0; stream < 64; ++stream) {
      at_vxm_.front()[stream] = registers_[stream < 32 ? 1 : 0][stream][0];
    }
    for (const Store& store : stores_[now_]) {
      for (uint32_t i = 0; i < kWidth; ++i) {
        const uint32_t lane = store.superlane * kWidth + i;
        memory_[{store.slice, store.row}][lane] = store.value[lane];
      }
      written_[{store.slice, store.row}][store.superlane] = true;
    }
    for (const auto& [alu, value] : results_[now_]) given_[alu] = value;
    for (auto& [name, plane] : planes_) {
      if (plane.installed && *plane.installed == now_) {
        plane.array = plane.coming;
        plane.installed.reset();
        plane.has_weights = true;
      }
      for (; !plane.products.empty() && plane.products.front().lands == now_; plane.products.pop_front()) {
        const Product& product = plane.products.front();
        Sums& sums = plane.sums[product.entry];
        for (uint32_t i = 0; i < kNaiveLanes; ++i) {
          sums[i] = (product.add ? sums[i] : 0) + product.sums[i];
        }
      }
    }
    for (const Planned& planned : plan_[now_]) {
      execute(program::isa::parse_unit_name(planned.name), planned.name, *planned.step, planned.n);
    }
  }

  void move() {
    for (uint32_t hemisphere : {0u, 1u}) {
      for (uint32_t stream = 0; stream < 64; ++stream) {
        auto& places = registers_[hemisphere][stream];
        if (outward(hemisphere, stream)) {
          for (uint32_t p = kPositions - 1; p > 0; --p) places[p] = places[p - 1];
          places[0].reset();
        } else {
          for (uint32_t p = 0; p + 1 < kPositions; ++p) places[p] = places[p + 1];
          places[kPositions - 1].reset();
        }
      }
    }
  }

  const Row& take(uint32_t hemisphere, uint64_t stream, uint32_t position) {
    const std::optional<Row>& there = registers_[hemisphere][stream][position];
    if (!there) stop();
    return *there;
  }
  void put(uint32_t hemisphere, uint64_t stream, uint32_t position, uint64_t cycle, const Row& row) {
    arrivals_[cycle].push_back({hemisphere, static_cast<uint32_t>(stream), position, row});
    last_ = std::max(last_, cycle + kPositions);
  }

  void execute(const program::isa::UnitName& unit, const std::string& name, const Schedule::Step& step,
               uint64_t n) {
    switch (unit.unit) {
      case LpuUnit::Mem:
        return memory_access(unit, name, step, n);
      case LpuUnit::Vxm:
        return operate(unit, step);
      case LpuUnit::Mxm:
        return multiply(unit, name.substr(0, 8) + std::to_string(unit.place / 3), step, n);
      default:
        return switch_lanes(unit, step);
    }
  }

  void memory_access(const program::isa::UnitName& unit, const std::string& name, const Schedule::Step& step,
                     uint64_t n) {
    const uint32_t x = machine_.mem_hop(unit.place);
    const machine::Latency& latency = machine_.latency;
    uint64_t rows[2];
    bool access[2] = {true, true};
    const bool mapped = step.op == LpuOp::Gather || step.op == LpuOp::Scatter;
    for (uint32_t j = 0; j < 2; ++j) {
      rows[j] = step.words[0] + (mapped ? 0 : n * step.words[2]);
      if (mapped) {
        const uint32_t map = take(unit.hemisphere, step.words[2], x)[j * kWidth] |
                             take(unit.hemisphere, step.words[2] + 1, x)[j * kWidth] << 8;
        access[j] = map < 32768;
        rows[j] += map;
      }
      if (access[j] && rows[j] >= machine_.geometry.slice_rows) stop();
    }
    if (step.op == LpuOp::Read || step.op == LpuOp::Gather) {
      Row out{};
      for (uint32_t j = 0; j < 2; ++j) {
        if (!access[j]) continue;
        const auto found = written_.find({name, rows[j]});
        if (found == written_.end() || !found->second[j]) stop();
        for (uint32_t i = 0; i < kWidth; ++i) {
          out[j * kWidth + i] = memory_[{name, rows[j]}][j * kWidth + i];
        }
      }
      put(unit.hemisphere, step.words[1], x,
          now_ + (step.op == LpuOp::Read ? latency.mem_read : latency.mem_gather), out);
      return;
    }
    const Row& in = take(unit.hemisphere, step.words[1], x);
    for (uint32_t j = 0; j < 2; ++j) {
      if (access[j]) stores_[now_ + latency.mem_write].push_back({name, rows[j], j, in});
    }
  }

  Sums operand(const program::isa::Operand& from, uint64_t number) {
    Sums words{};
    if (from.kind == OperandKind::Immediate) words.fill(static_cast<uint32_t>(number));
    if (from.kind == OperandKind::Alu) {
      if (!given_.contains(from.index)) stop();
      words = given_[from.index];
    }
    const uint32_t count = operand_streams(from.kind);
    for (uint32_t b = 0; b < count; ++b) {
      if (at_vxm_.size() <= machine_.latency.vxm_entry) stop();
      const std::optional<Row>& there = at_vxm_[machine_.latency.vxm_entry][from.index + b];
      if (!there) stop();
      for (uint32_t i = 0; i < kNaiveLanes; ++i) words[i] |= static_cast<uint32_t>((*there)[i]) << (8 * b);
    }
    for (uint32_t& word : words) {
      if (from.kind == OperandKind::Int8) word = static_cast<uint32_t>(int32_t{static_cast<int8_t>(word)});
      if (from.kind == OperandKind::Int16) word = static_cast<uint32_t>(int32_t{static_cast<int16_t>(word)});
    }
    return words;
  }

  void operate(const program::isa::UnitName& unit, const Schedule::Step& step) {
    Sums in[3] = {};
    for (uint32_t i = 0; i < program::isa::vxm_operands(step.op); ++i) {
      in[i] = operand(program::isa::decode_operand(step.words[i]), step.words[3]);
    }
    Sums out;
    for (uint32_t i = 0; i < kNaiveLanes; ++i) {
      out[i] = program::isa::alu(step.op, in[0][i], in[1][i], in[2][i], machine_.rsqrt_bits);
    }
    const bool fused = step.op == LpuOp::Fma || step.op == LpuOp::IntegerMultiplyAdd;
    const uint64_t cycle = now_ + (fused                     ? machine_.latency.vxm_fma
                                   : step.op == LpuOp::RSqrt ? machine_.latency.vxm_rsqrt
                                                             : machine_.latency.vxm_operation);
    if (!results_[cycle].try_emplace(unit.place, out).second) stop();
    for (size_t f : {4, 5}) {
      if (step.words[f] == kNo) continue;
      for (uint32_t b = 0; b < step.words[6]; ++b) {
        Row row;
        for (uint32_t i = 0; i < kNaiveLanes; ++i) row[i] = static_cast<uint8_t>(out[i] >> (8 * b));
        put(f == 4 ? 0 : 1, step.words[f] + b, 0, cycle, row);
      }
    }
  }

  void multiply(const program::isa::UnitName& unit, const std::string& name, const Schedule::Step& step,
                uint64_t n) {
    const uint32_t x = machine_.hops.mxm;
    const machine::Latency& latency = machine_.latency;
    Plane& plane = planes_[name];
    if (step.op == LpuOp::LoadWeights) {
      const uint64_t group = step.words[1] + n;
      if (group >= 2) stop();
      for (uint32_t k = 0; k < 16; ++k) {
        plane.buffer[16 * group + k] = take(unit.hemisphere, step.words[0] + k, x);
      }
      plane.last_load = now_;
    } else if (step.op == LpuOp::InstallWeights) {
      if (plane.last_load && *plane.last_load + latency.mxm_load > now_) stop();
      if (plane.installed) stop();
      plane.coming = plane.buffer;
      plane.buffer = {};
      plane.last_load.reset();
      plane.installed = now_ + latency.mxm_install;
      last_ = std::max(last_, *plane.installed);
    } else if (step.op == LpuOp::ActivationControl) {
      const auto entry = static_cast<uint32_t>(step.words[1] + n * step.words[3]);
      if (entry >= machine_.geometry.accumulators) stop();
      const Row& in = take(unit.hemisphere, step.words[0], x);
      if (!plane.has_weights || (step.words[2] != 0 && !plane.filled.contains(entry))) stop();
      plane.filled.insert(entry);
      Product product = {now_, now_ + latency.mxm_product, entry, step.words[2] != 0, {}};
      for (uint32_t r = 0; r < kNaiveLanes; ++r) {
        for (uint32_t k = 0; k < kNaiveLanes; ++k) {
          product.sums[r] +=
              static_cast<uint32_t>(static_cast<int8_t>(plane.array[r][k]) * static_cast<int8_t>(in[k]));
        }
      }
      plane.products.push_back(product);
    } else {
      const auto entry = static_cast<uint32_t>(step.words[0] + n * step.words[2]);
      if (entry >= machine_.geometry.accumulators || !plane.sums.contains(entry)) stop();
      for (const Product& product : plane.products) {
        if (product.entry == entry && product.issued < now_) stop();
      }
      for (uint32_t b = 0; b < 4; ++b) {
        Row row;
        for (uint32_t i = 0; i < kNaiveLanes; ++i) {
          row[i] = static_cast<uint8_t>(plane.sums[entry][i] >> (8 * b));
        }
        put(unit.hemisphere, step.words[1] + b, x, now_ + latency.mxm_result, row);
      }
    }
  }

  void switch_lanes(const program::isa::UnitName& unit, const Schedule::Step& step) {
    const uint32_t x = machine_.hops.sxm;
    const machine::Latency& latency = machine_.latency;
    const std::vector<uint64_t>& words = step.words;
    if (step.op == LpuOp::Transpose) {
      for (uint32_t k = 0; k < 16; ++k) {
        Row row{};
        for (uint32_t i = 0; i < kNaiveLanes; ++i) {
          row[i] = take(unit.hemisphere, words[0] + i % kWidth, x)[i / kWidth * kWidth + k];
        }
        put(unit.hemisphere, words[1] + k, x, now_ + latency.sxm_transpose, row);
      }
      return;
    }
    const bool rotates = step.op == LpuOp::Rotate;
    for (uint32_t r = 0; r < (rotates ? words[3] : 1); ++r) {
      for (uint32_t b = 0; b < 4; ++b) {
        const Row& in = take(unit.hemisphere, words[0] + b, x);
        Row out{};
        for (uint32_t i = 0; i < kNaiveLanes; ++i) {
          switch (step.op) {
            case LpuOp::ShiftUp:
              if (i >= words[2]) out[i] = in[i - words[2]];
              break;
            case LpuOp::ShiftDown:
              if (i + words[2] < kNaiveLanes) out[i] = in[i + words[2]];
              break;
            case LpuOp::Rotate:
              out[i] = in[i / kWidth * kWidth + (i + words[2] + r) % kWidth];
              break;
            case LpuOp::Permute: {
              const std::vector<std::byte>& maps = schedule_.files.at("permutations");
              out[i] = in[static_cast<size_t>(maps.at((words[2] * kNaiveLanes + i) * 2))];
              break;
            }
            default: {
              const std::vector<std::byte>& maps = schedule_.files.at("distributions");
              const auto source = static_cast<uint32_t>(maps.at(words[2] * kWidth + i % kWidth));
              if (source != 255) out[i] = in[i / kWidth * kWidth + source];
            }
          }
        }
        const uint64_t cycles = rotates                        ? latency.sxm_rotate
                                : step.op == LpuOp::Permute    ? latency.sxm_permute
                                : step.op == LpuOp::Distribute ? latency.sxm_distribute
                                                               : latency.sxm_shift;
        put(unit.hemisphere, words[1] + 4 * r + b, x, now_ + cycles, out);
      }
    }
  }

  const Schedule& schedule_;
  const machine::Machine& machine_;
  uint64_t now_ = 0, last_ = 0;
  std::map<uint64_t, std::vector<Planned>> plan_;
  std::array<std::array<std::array<std::optional<Row>, kPositions>, 64>, 2> registers_;
  std::map<uint64_t, std::vector<Arrival>> arrivals_;
  std::deque<std::array<std::optional<Row>, 64>> at_vxm_;  // this cycle first
  std::map<std::pair<std::string, uint64_t>, Row> memory_;
  std::map<std::pair<std::string, uint64_t>, std::array<bool, 2>> written_;
  std::map<uint64_t, std::vector<Store>> stores_;
  std::map<uint64_t, std::map<uint32_t, Sums>> results_;
  std::map<uint32_t, Sums> given_;
  std::map<std::string, Plane> planes_;
};

}  // namespace lockstep::targets::lpu
