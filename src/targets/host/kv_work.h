// The instructions that touch the KV cache: RopeStore and Attention, for one worker.
#pragma once

#include <span>

#include "program/isa/host_kv.h"
#include "targets/host/step_rows.h"
#include "targets/host/work.h"
#include "targets/host/worker_team.h"

namespace lockstep::targets::host {

struct KvContext {
  const KernelTable& kernels;
  const program::isa::KvLayout& kv;
  StepRows& rows;
  WorkerTeam& team;
  std::span<const Worker> workers;
};

// Turns the worker's share of q, and stores its share of k and v in the sequences' pages.
void rope_store(const KvContext& context, const Work& work, Worker& self);

// The worker's share of the step's rows and heads against their sequences' pages. Every worker calls it: they
// may meet inside.
void attend(const KvContext& context, const Work& work, Worker& self);

// A worker's memory for attention over sequences of up to `positions`, `group` query heads for each KV head.
struct AttentionMemory {
  AttentionMemory(const program::isa::KvLayout& kv, uint64_t positions, uint32_t group);
  // `memory`: `bytes` of them, aligned to 64.
  void lay_out(std::byte* memory, AttentionScratch (&scratch)[kAttentionSlots]) const;

  uint64_t planes_bytes, weights_bytes, sums_bytes, bytes;
};

}  // namespace lockstep::targets::host
