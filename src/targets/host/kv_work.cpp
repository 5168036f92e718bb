#include "targets/host/kv_work.h"

#include <algorithm>

#include "numerics/float32.h"
#include "numerics/q16.h"

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
  const Share queries = share(rows * work.heads, self.number, context.workers);
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
  const Share heads = share(rows * kv.kv_heads, self.number, context.workers);
  for (uint64_t unit = heads.begin; unit < heads.end; ++unit) {
    store_head(context, work, self, static_cast<uint32_t>(unit / kv.kv_heads),
               static_cast<uint32_t>(unit % kv.kv_heads));
  }
}

void attend(const KvContext& context, const Work& work, Worker& self) {
  const KvLayout& kv = context.kv;
  const Share mine = share(uint64_t{context.rows.count()} * work.heads, self.number, context.workers);
  for (uint64_t unit = mine.begin; unit < mine.end; ++unit) {
    const uint32_t row = static_cast<uint32_t>(unit / work.heads);
    const uint32_t head = static_cast<uint32_t>(unit % work.heads);
    AttentionArguments arguments;
    arguments.q = work.a.f32_row(row) + uint64_t{head} * kv.head_width;
    arguments.out = work.out.f32_row(row) + uint64_t{head} * kv.value_width;
    arguments.pages = context.rows.sequence_of(row).pages;
    arguments.kv = &kv;
    arguments.layer = work.layer;
    arguments.kv_head = static_cast<uint32_t>(uint64_t{head} * kv.kv_heads / work.heads);
    arguments.positions = context.rows.position(row) + 1;
    arguments.scale_log2 = work.number * numerics::kLog2E;
    arguments.weights = self.attention_weights;
    if (!context.kernels.attention(arguments)) context.rows.refuse(row, work.instruction);
  }
}

}  // namespace lockstep::targets::host
