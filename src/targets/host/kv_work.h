// The instructions that touch the KV cache: RopeStore and Attention, for one worker.
#pragma once

#include "program/isa/host_kv.h"
#include "targets/host/step_rows.h"
#include "targets/host/work.h"

namespace lockstep::targets::host {

struct KvContext {
  const KernelTable& kernels;
  const program::isa::KvLayout& kv;
  StepRows& rows;
  uint32_t workers;
};

// Turns the worker's share of q, and stores its share of k and v in the sequences' pages.
void rope_store(const KvContext& context, const Work& work, Worker& self);

// The worker's share of the step's rows and heads against their sequences' pages.
void attend(const KvContext& context, const Work& work, Worker& self);

}  // namespace lockstep::targets::host
