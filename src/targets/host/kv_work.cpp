#include "targets/host/kv_work.h"

#include <algorithm>

#include "numerics/float32.h"
#include "numerics/q16.h"
#include "targets/host/attention_units.h"

namespace lockstep::targets::host {

using program::isa::KvLayout;

namespace {

void store_head(const KvContext& context, const Work& work, Worker& self, uint32_t row, uint32_t kv_head) {
  const KvLayout& kv = context.kv;
  const KernelTable& kernels = context.kernels;
  const uint32_t position = context.rows.position(row);
  const uint32_t slot = position % program::isa::kPagePositions;
  // The pages of the step's own positions are this sequence's to write.
  auto* page =
      const_cast<std::byte*>(context.rows.sequence_of(row).pages[position / program::isa::kPagePositions]);
  const int32_t levels = kv.kv_bits == 16 ? numerics::kQ16Levels : numerics::kQ8Levels;
  const auto* turns = reinterpret_cast<const uint64_t*>(work.c.common);
  const uint32_t pairs = work.c.width / sizeof(uint64_t);
  int16_t a[1024];
  float scale = 0;
  auto put = [&](uint64_t array, uint64_t index, int16_t value) {
    if (kv.kv_bits == 16) {
      reinterpret_cast<int16_t*>(page + array)[index] = value;
    } else {
      reinterpret_cast<int8_t*>(page + array)[index] = static_cast<int8_t>(value);
    }
  };

  kernels.rope_angles(turns, pairs, position, self.cos, self.sin);
  std::copy_n(work.a.f32_row(row) + uint64_t{kv_head} * kv.head_width, kv.head_width, self.wide);
  kernels.rope(self.wide, self.cos, self.sin, pairs, work.halves);
  if (!kernels.quantise_head(self.wide, kv.head_width, levels, a, &scale))
    context.rows.refuse(row, work.instruction);
  const uint64_t keys = kv.keys(work.layer, kv_head);
  for (uint32_t d = 0; d < kv.head_width; ++d) put(keys, KvLayout::key_index(d, slot), a[d]);
  reinterpret_cast<float*>(page + kv.key_scales(work.layer, kv_head))[slot] = scale;

  const float* v = work.b.f32_row(row) + uint64_t{kv_head} * kv.value_width;
  if (!kernels.quantise_head(v, kv.value_width, levels, a, &scale))
    context.rows.refuse(row, work.instruction);
  const uint64_t values = kv.values(work.layer, kv_head);
  for (uint32_t d = 0; d < kv.value_width; ++d) put(values, kv.value_index(d, slot), a[d]);
  reinterpret_cast<float*>(page + kv.value_scales(work.layer, kv_head))[slot] = scale;
}

}  // namespace

void rope_store(const KvContext& context, const Work& work, Worker& self) {
  const KvLayout& kv = context.kv;
  const auto* turns = reinterpret_cast<const uint64_t*>(work.c.common);
  const uint32_t pairs = work.c.width / sizeof(uint64_t);
  const uint64_t rows = context.rows.count();
  const Share queries = share(rows * work.heads, self.number, context.team.size());
  uint64_t angles_of = ~uint64_t{0};
  for (uint64_t unit = queries.begin; unit < queries.end; ++unit) {
    const uint64_t row = unit / work.heads;
    if (row != angles_of) {
      context.kernels.rope_angles(turns, pairs, context.rows.position(row), self.cos, self.sin);
      angles_of = row;
    }
    context.kernels.rope(work.out.f32_row(row) + unit % work.heads * kv.head_width, self.cos, self.sin, pairs,
                         work.halves);
  }
  const Share heads = share(rows * kv.kv_heads, self.number, context.team.size());
  for (uint64_t unit = heads.begin; unit < heads.end; ++unit) {
    store_head(context, work, self, static_cast<uint32_t>(unit / kv.kv_heads),
               static_cast<uint32_t>(unit % kv.kv_heads));
  }
}

namespace {

// A worker's pages of a unit.
AttentionBlock block_of(const KvContext& context, const Work& work, const AttentionScratch& scratch,
                        const AttentionUnit& unit, Share pages) {
  const KvLayout& kv = context.kv;
  AttentionBlock block;
  block.q = work.a.f32_row(unit.row) + uint64_t{unit.head} * kv.head_width;
  block.q_row_floats = work.a.row_bytes / sizeof(float);
  block.out = work.out.f32_row(unit.row) + uint64_t{unit.head} * kv.value_width;
  block.out_row_floats = work.out.row_bytes / sizeof(float);
  block.rows = unit.rows;
  block.heads = unit.heads;
  block.position = unit.position;
  block.pages = unit.sequence->pages;
  block.page_begin = static_cast<uint32_t>(pages.begin);
  block.page_end = static_cast<uint32_t>(pages.end);
  block.kv = &kv;
  block.layer = work.layer;
  block.kv_head = unit.kv_head;
  block.scale_log2 = work.number * numerics::kLog2E;
  block.queries = scratch.queries;
  block.planes = scratch.planes;
  block.weights = scratch.weights;
  block.sums = scratch.sums;
  return block;
}

void scores(const KvContext& context, const Work& work, const AttentionUnit& unit,
            const AttentionBlock& block) {
  context.kernels.attention_scores(block);
  for (uint32_t i = 0; i < block.count(); ++i) {
    if (!block.queries[i].fits) context.rows.refuse(unit.row + i / block.heads, work.instruction);
  }
}

void attend_whole(const KvContext& context, const Work& work, const Worker& self, const AttentionUnit& unit) {
  const AttentionBlock block = block_of(context, work, self.attention[kWholeUnit], unit, {0, unit.pages});
  scores(context, work, unit, block);
  context.kernels.attention_weigh(block);
  context.kernels.attention_values(block);
  context.kernels.attention_finish(block, 0, block.count());
}

AttentionSlot slot_of(Share pages) {
  return pages.begin == 0 ? kStartOfUnit : kRestOfUnit;
}

// The worker's part of a unit that several workers share.
struct CutUnit {
  AttentionUnit unit;
  AttentionBlock block;
  const AttentionScratch* scratch = nullptr;
};

// Calls visit(scratch, index) for every worker that has pages of the unit, `index` counting them.
template <class Visit>
uint32_t for_each_sharer(const KvContext& context, const AttentionUnits& units, const AttentionUnit& unit,
                         Visit visit) {
  uint32_t count = 0;
  for (const Worker& worker : context.workers) {
    const Share pages = units.pages(unit, worker.number);
    if (pages.begin != pages.end) visit(worker.attention[slot_of(pages)], count++);
  }
  return count;
}

void take_largest(const KvContext& context, const AttentionUnits& units, const CutUnit& cut) {
  for_each_sharer(context, units, cut.unit, [&](const AttentionScratch& other, uint32_t) {
    for (uint32_t i = 0; i < cut.block.count(); ++i) {
      cut.block.queries[i].largest = std::max(cut.block.queries[i].largest, other.published[i].largest);
    }
  });
}

void take_totals(const KvContext& context, const AttentionUnits& units, const CutUnit& cut) {
  for (uint32_t i = 0; i < cut.block.count(); ++i) cut.block.queries[i].total = 0;
  for_each_sharer(context, units, cut.unit, [&](const AttentionScratch& other, uint32_t) {
    for (uint32_t i = 0; i < cut.block.count(); ++i) {
      AttentionQuery& query = cut.block.queries[i];
      query.total += other.published[i].total;
      query.weight_bits = std::max(query.weight_bits, other.published[i].weight_bits);
    }
  });
}

// The sums of a share of the unit's queries, and their outputs.
void add_sums(const KvContext& context, const AttentionUnits& units, const CutUnit& cut) {
  uint32_t mine = 0;
  const uint32_t sharers =
      for_each_sharer(context, units, cut.unit, [&](const AttentionScratch& scratch, uint32_t index) {
        if (&scratch == cut.scratch) mine = index;
      });
  const Share queries = share(cut.block.count(), mine, sharers);
  const uint64_t lanes = context.kv.value_lanes();
  for_each_sharer(context, units, cut.unit, [&](const AttentionScratch& other, uint32_t index) {
    if (index == mine) return;
    for (uint64_t i = queries.begin * lanes; i < queries.end * lanes; ++i) cut.block.sums[i] += other.sums[i];
  });
  context.kernels.attention_finish(cut.block, static_cast<uint32_t>(queries.begin),
                                   static_cast<uint32_t>(queries.end));
}

}  // namespace

void attend(const KvContext& context, const Work& work, Worker& self) {
  const AttentionUnits units(context.rows, context.kv.kv_heads, work.heads / context.kv.kv_heads,
                             context.team.size());
  CutUnit cuts[2];
  uint32_t cut_count = 0;
  if (units.cut()) {
    units.for_each([&](const AttentionUnit& unit) {
      const Share pages = units.pages(unit, self.number);
      if (pages.begin == pages.end || pages.end - pages.begin == unit.pages) return;
      const AttentionScratch& scratch = self.attention[slot_of(pages)];
      cuts[cut_count++] = {unit, block_of(context, work, scratch, unit, pages), &scratch};
    });
    const std::span<const CutUnit> mine(cuts, cut_count);
    for (const CutUnit& cut : mine) {
      scores(context, work, cut.unit, cut.block);
      for (uint32_t i = 0; i < cut.block.count(); ++i)
        cut.scratch->published[i].largest = cut.block.queries[i].largest;
    }
    context.team.barrier(self.number);
    for (const CutUnit& cut : mine) {
      take_largest(context, units, cut);
      context.kernels.attention_weigh(cut.block);
      for (uint32_t i = 0; i < cut.block.count(); ++i) {
        cut.scratch->published[i].total = cut.block.queries[i].total;
        cut.scratch->published[i].weight_bits = cut.block.queries[i].weight_bits;
      }
    }
    context.team.barrier(self.number);
    for (const CutUnit& cut : mine) {
      take_totals(context, units, cut);
      context.kernels.attention_values(cut.block);
    }
  }
  units.for_each([&](const AttentionUnit& unit) {
    const Share pages = units.pages(unit, self.number);
    if (pages.end - pages.begin == unit.pages) attend_whole(context, work, self, unit);
  });
  if (!units.cut()) return;
  context.team.barrier(self.number);
  for (uint32_t i = 0; i < cut_count; ++i) add_sums(context, units, cuts[i]);
}

AttentionMemory::AttentionMemory(const KvLayout& kv, uint64_t positions, uint32_t group)
    : planes_bytes(uint64_t{kBlockQueries} * 2 * kv.head_width * sizeof(int16_t)),
      weights_bytes(AttentionUnits::weights_bytes_max(positions, group)),
      sums_bytes(kBlockQueries * kv.value_lanes() * sizeof(double)) {
  bytes = kAttentionSlots * (2 * kBlockQueries * sizeof(AttentionQuery) + planes_bytes + sums_bytes) +
          2 * weights_bytes;
}

void AttentionMemory::lay_out(std::byte* memory, AttentionScratch (&scratch)[kAttentionSlots]) const {
  auto take = [&](uint64_t size) {
    std::byte* at = memory;
    memory += size;
    return at;
  };
  for (AttentionScratch& slot : scratch) {
    slot.queries = reinterpret_cast<AttentionQuery*>(take(kBlockQueries * sizeof(AttentionQuery)));
    slot.published = reinterpret_cast<AttentionQuery*>(take(kBlockQueries * sizeof(AttentionQuery)));
    slot.planes = reinterpret_cast<int16_t*>(take(planes_bytes));
    slot.sums = reinterpret_cast<double*>(take(sums_bytes));
  }
  scratch[kRestOfUnit].weights = reinterpret_cast<float*>(take(weights_bytes));
  scratch[kStartOfUnit].weights = reinterpret_cast<float*>(take(weights_bytes));
  // A worker has the weights of its cut units behind it when it comes to whole ones.
  scratch[kWholeUnit].weights = scratch[kRestOfUnit].weights;
}

}  // namespace lockstep::targets::host
