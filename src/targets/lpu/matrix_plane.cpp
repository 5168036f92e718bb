#include "targets/lpu/matrix_plane.h"

#include <cstring>

namespace lockstep::targets::lpu {

using program::isa::LpuOp;

static std::unique_ptr<WeightArray> weight_array(bool arithmetic) {
  return arithmetic ? std::make_unique<WeightArray>() : nullptr;
}

MatrixPlane::MatrixPlane(const UnitContext& context, Place place)
    : context_(context),
      place_(place),
      buffer_(weight_array(context.arithmetic)),
      installing_(weight_array(context.arithmetic)),
      array_(weight_array(context.arithmetic)),
      groups_loaded_(context.machine.geometry.lanes() / context.machine.geometry.load_streams) {
  clear();
}

void MatrixPlane::clear() {
  groups_loaded_.assign(groups_loaded_.size(), false);
  last_load_ = installed_ = kNever;
  has_weights_ = false;
  accumulators_.clear();
}

void MatrixPlane::execute(const Issue& issue) {
  switch (issue.instruction.op) {
    case LpuOp::LoadWeights:
      return load(issue);
    case LpuOp::InstallWeights:
      return install(issue);
    case LpuOp::ActivationControl:
      return multiply(issue);
    default:
      return result(issue);
  }
}

void MatrixPlane::load(const Issue& issue) {
  const uint32_t group = issue.moved(1, 1), count = context_.machine.geometry.load_streams;
  if (group >= groups_loaded_.size()) {
    stop(issue, "group {} is past the end of the buffer, which has {}", group, groups_loaded_.size());
  }
  const Vector* rows[WeightArray::kOutputGroup];
  for (uint32_t k = 0; k < count; ++k) {
    rows[k] = context_.streams.take(issue, place_, issue.instruction.fields[0] + k, issue.cycle);
  }
  last_load_ = issue.cycle;
  groups_loaded_[group] = true;
  context_.events.mxm_rows += count;
  if (!context_.arithmetic) return;
  Vector space[WeightArray::kOutputGroup];
  for (uint32_t k = 0; k < count; ++k) rows[k] = &context_.powered(issue, *rows[k], space[k]);
  context_.kernels.load_weights(rows, count, group * count, *buffer_);
}

void MatrixPlane::install(const Issue& issue) {
  const machine::Latency& latency = context_.machine.latency;
  if (last_load_ != kNever && issue.cycle < last_load_ + latency.mxm_load) {
    stop(issue, "the last LoadWeights is {} cycles old and takes {}", issue.cycle - last_load_,
         latency.mxm_load);
  }
  settle_install(issue.cycle);
  if (installed_ != kNever) {
    stop(issue, "an install is in flight until {} cycles from now", installed_ - issue.cycle);
  }
  installed_ = issue.cycle + latency.mxm_install;
  std::swap(buffer_, installing_);
  if (context_.arithmetic) {
    // Rows that were not loaded since the last install: the buffer keeps older weights there.
    const uint32_t count = context_.machine.geometry.load_streams;
    for (uint32_t group = 0; group < groups_loaded_.size(); ++group) {
      if (groups_loaded_[group]) continue;
      for (auto& inputs : installing_->weights) {
        std::memset(inputs[group * count], kZeroWeight, size_t{count} * WeightArray::kInputGroup);
      }
    }
  }
  groups_loaded_.assign(groups_loaded_.size(), false);
}

// The weights of an install that has ended by `cycle` are those that activations meet.
void MatrixPlane::settle_install(uint64_t cycle) {
  if (installed_ == kNever || installed_ > cycle) return;
  std::swap(installing_, array_);
  installed_ = kNever;
  has_weights_ = true;
}

MatrixPlane::Accumulator& MatrixPlane::accumulator(const Issue& issue, uint32_t entry) {
  if (entry >= context_.machine.geometry.accumulators) {
    stop(issue, "entry {} is past the end of the accumulators, of which there are {}", entry,
         context_.machine.geometry.accumulators);
  }
  if (accumulators_.empty()) accumulators_.resize(context_.machine.geometry.accumulators);
  return accumulators_[entry];
}

void MatrixPlane::multiply(const Issue& issue) {
  const uint32_t entry = issue.moved(1, issue.instruction.fields[3]);
  const bool add = issue.instruction.fields[2] != 0;
  Accumulator& sums = accumulator(issue, entry);
  const Vector* in = context_.streams.take(issue, place_, issue.instruction.fields[0], issue.cycle);
  settle_install(issue.cycle);
  if (!has_weights_) stop(issue, "no weights are installed yet");
  if (add && !sums.filled) stop(issue, "entry {} is added to and was never filled", entry);
  sums.filled = true;
  sums.complete = issue.cycle + context_.machine.latency.mxm_product;
  context_.events.effect(sums.complete);
  ++context_.events.mxm_products;
  if (!context_.arithmetic) return;
  Vector space;
  context_.kernels.product(*array_, context_.powered(issue, *in, space), add, sums.sums);
}

void MatrixPlane::result(const Issue& issue) {
  const uint32_t entry = issue.moved(0, issue.instruction.fields[2]);
  const Accumulator& sums = accumulator(issue, entry);
  if (!sums.filled) stop(issue, "entry {} was never filled", entry);
  if (sums.complete > issue.cycle) {
    stop(issue, "a product is on its way to entry {} for {} more cycles", entry, sums.complete - issue.cycle);
  }
  ++context_.events.mxm_results;
  Vector* streams[4];
  for (uint32_t b = 0; b < 4; ++b) {
    streams[b] = context_.streams.put(issue, place_, issue.instruction.fields[1] + b,
                                      issue.cycle + context_.machine.latency.mxm_result);
  }
  if (!context_.arithmetic) return;
  context_.kernels.split(sums.sums, 4, streams);
  for (Vector* stream : streams) context_.power(issue, *stream);
}

}  // namespace lockstep::targets::lpu
