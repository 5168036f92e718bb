#include "compiler/lpu/entry_scheduler.h"

#include "base/error.h"
#include "compiler/lpu/queues.h"

namespace lockstep::compiler::lpu {

namespace {

// Queues whose text comes too late are added to `late` instead.
WrittenChip write_chip(ChipScheduler& schedule, const machine::Machine& machine, std::set<QueueKey>& late) {
  WrittenChip chip{schedule.length(), {}};
  for (auto& [key, issues] : schedule.take_queues()) {
    WrittenQueue& queue = chip.queues.emplace_back();
    queue.key = key;
    try {
      queue.instructions = queue_instructions(issues, chip.queues.size() == 1, machine, queue.sources);
    } catch (const TextLate&) {
      late.insert(key);
    }
  }
  return chip;
}

class EntryScheduler {
 public:
  EntryScheduler(Chips& chips, size_t placed, uint32_t blocks, uint32_t rows)
      : chips_(chips),
        placed_(placed),
        lowered_(chips[0]->model.memory.has_contents() ? placed : 1),
        extents_(chips.size(), {blocks, rows}) {}

  // Without `text` the cycles alone.
  std::vector<WrittenChip> run(bool text) {
    while (true) {
      if (!lower()) continue;
      std::vector<WrittenChip> written;
      bool in_time = true;
      for (size_t c = 0; c < chips_.size(); ++c) {
        if (c % placed_ >= lowered_) {
          written.push_back(written.back());
          continue;
        }
        std::set<QueueKey> late;
        const std::unique_ptr<ChipScheduler> schedule = chips_[c]->lowering.finish();
        written.push_back(write_chip(*schedule, chips_[c]->model.machine, late));
        if (!text) written.back().queues.clear();
        for (const QueueKey& key : late)
          each_of_group(c / placed_, [&](Extent& extent) { extent.fetching.insert(key); });
        in_time = in_time && late.empty();
        if (c % placed_ > 0 && written[c].cycles != written[c - 1].cycles)
          internal_error("chips of a group take {} and {} cycles", written[c - 1].cycles, written[c].cycles);
      }
      if (in_time) return written;
      if (++rounds_ > kRoundsMax) internal_error("a queue's text comes too late");
    }
  }

 private:
  static constexpr uint32_t kRoundsMax = 8;

  template <class Change>
  void each_of_group(size_t group, const Change& change) {
    for (size_t c = group * placed_; c < (group + 1) * placed_; ++c) change(extents_[c]);
  }

  // Fills all schedules; false where a group has to start with copies for safety. The last group has the
  // vocabulary: the tokens' embeddings come to the first from there.
  bool lower() {
    const size_t groups = chips_.size() / placed_;
    for (size_t c = 0; c < chips_.size(); ++c) chips_[c]->lowering.begin(extents_[c]);
    std::vector<Handover> handover(placed_);
    for (size_t step = 0; step <= groups; ++step) {
      const size_t group = step == 0 ? groups - 1 : step - 1;
      try {
        for (size_t part = 0; part < lowered_; ++part) {
          Lowering& lowering = chips_[group * placed_ + part]->lowering;
          handover[part] = step == 0 ? lowering.embed() : lowering.run(handover[part]);
          if (handover[part] != handover[0]) internal_error("chips of a group do not run one schedule");
        }
      } catch (const ResultLost&) {
        each_of_group(group, [&](Extent& extent) {
          if (extent.copies_for_safety) internal_error("a result with a copy in memory is lost");
          extent.copies_for_safety = true;
        });
        return false;
      }
    }
    return true;
  }

  Chips& chips_;
  // Chips of a group that are there, and that are lowered: without contents one's schedule is every one's.
  const size_t placed_, lowered_;
  std::vector<Extent> extents_;
  uint32_t rounds_ = 0;
};

}  // namespace

std::vector<WrittenChip> schedule_entry(Chips& chips, uint32_t placed, uint32_t blocks, uint32_t rows,
                                        bool text) {
  return EntryScheduler(chips, placed, blocks, rows).run(text);
}

}  // namespace lockstep::compiler::lpu
