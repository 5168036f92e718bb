#include "cli/bench_target.h"

#include <algorithm>

#include "cli/machine_limits.h"
#include "numerics/sampling.h"

namespace lockstep::cli {

namespace {

std::unique_ptr<targets::host::HostTarget> load(const ModelOptions& options, const program::Program& program,
                                                uint32_t positions) {
  targets::host::HostOptions host = options.host_options();
  host.context = std::max(host.context, positions);
  return api::load_target(program, host);
}

}  // namespace

BenchTarget::BenchTarget(const ModelOptions& options, const program::Program& program, uint32_t positions)
    : program_(program),
      cost_(step_cost(program)),
      target_(load(options, program, positions)),
      chunk_(std::min(options.chunk == 0 ? targets::kPrefillRows : options.chunk, target_->rows_max())),
      sequence_(*target_),
      tokens_(positions),
      buffer_(make_stream_buffer(cost_.weights_bytes)) {
  for (uint32_t i = 0; i < positions; ++i) {
    tokens_[i] = static_cast<int32_t>((i * 7919u + 13u) % program.vocabulary);
  }
}

std::vector<SequenceShape> BenchTarget::chunks(uint32_t count) const {
  std::vector<SequenceShape> shapes;
  for (uint32_t position = 0; position < count; position += chunk_) {
    const uint32_t rows = std::min(chunk_, count - position);
    shapes.push_back({rows, position, position + rows == count ? 1u : 0u});
  }
  return shapes;
}

void BenchTarget::fill(uint32_t count) {
  for (const SequenceShape& shape : chunks(count)) run(shape);
}

void BenchTarget::run(const SequenceShape& shape) {
  const int32_t wanted = static_cast<int32_t>(shape.rows) - 1;
  sequence_.step(std::span(tokens_).subspan(shape.position, shape.rows), shape.position,
                 std::span(&wanted, shape.wanted));
}

void BenchTarget::sample() {
  const std::span<const float> logits = target_->logits(0);
  digest_.logits(logits);
  token_ = numerics::argmax(logits);
  digest_.token(token_);
}

double BenchTarget::stream_bandwidth() {
  return cli::stream_bandwidth(*target_, buffer_);
}

MachineLimits BenchTarget::limits() {
  return measure_limits(*target_, buffer_);
}

}  // namespace lockstep::cli
