// One plane of the matrix unit (MXM): weights in a buffer and in the array, and the sums of its products.
#pragma once

#include <memory>
#include <vector>

#include "targets/lpu/unit_context.h"

namespace lockstep::targets::lpu {

class MatrixPlane {
 public:
  // `context` must outlive the plane.
  MatrixPlane(const UnitContext& context, Place place);

  void clear();  // before a run
  // LoadWeights, InstallWeights, ActivationControl or Accumulate. In a cycle Accumulate comes first: it does
  // not meet the products that begin then.
  void execute(const Issue& issue);

 private:
  struct Accumulator {
    bool filled = false;
    uint64_t complete = 0;  // the cycle in which the last product is in
    Words sums;
  };

  void load(const Issue& issue);
  void install(const Issue& issue);
  void multiply(const Issue& issue);
  void result(const Issue& issue);
  Accumulator& accumulator(const Issue& issue, uint32_t entry);
  void settle_install(uint64_t cycle);

  const UnitContext& context_;
  const Place place_;
  // The buffer, the weights of an install in flight, and those that activations meet.
  std::unique_ptr<WeightArray> buffer_, installing_, array_;
  std::vector<bool> groups_loaded_;
  uint64_t last_load_ = kNever, installed_ = kNever;  // cycles: of the last LoadWeights, of an install's end
  bool has_weights_ = false;
  std::vector<Accumulator> accumulators_;
};

}  // namespace lockstep::targets::lpu
