#include "cli/bench_target.h"

#include <algorithm>
#include <numeric>

#include "cli/machine_limits.h"
#include "numerics/sampling.h"
#include "program/isa/host_kv.h"
#include "targets/sole_sequence.h"

namespace lockstep::cli {

namespace {

std::unique_ptr<targets::host::HostTarget> load(const ModelOptions& options, const program::Program& program,
                                                uint32_t positions, uint32_t streams) {
  targets::host::HostOptions host = options.host_options();
  host.context = std::max(host.context, positions);
  // Every stream begins a page.
  constexpr uint64_t kPage = program::isa::kPagePositions;
  host.kv_positions = streams * ((positions + kPage - 1) / kPage * kPage);
  const uint64_t rows_max = program.parameter("rows").max;
  if (streams > rows_max) user_error("--streams {}: a step has at most {} rows", streams, rows_max);
  return api::load_target(program, host);
}

}  // namespace

BenchTarget::BenchTarget(const ModelOptions& options, const program::Program& program, uint32_t positions,
                         uint32_t streams)
    : program_(program),
      cost_(step_cost(program)),
      target_(load(options, program, positions, streams)),
      chunk_(std::min(options.chunk == 0 ? targets::kPrefillRows : options.chunk, target_->rows_max())),
      positions_(positions),
      tokens_(uint64_t{streams} * positions),
      pages_(uint64_t{streams} * ((positions + target_->page_positions() - 1) / target_->page_positions())),
      buffer_(make_stream_buffer(cost_.weights_bytes)),
      digests_(streams) {
  for (uint64_t i = 0; i < tokens_.size(); ++i) {
    tokens_[i] = static_cast<int32_t>((i * 7919 + 13) % program.vocabulary);
  }
  std::iota(pages_.begin(), pages_.end(), 0u);
  sequences_.reserve(streams);
}

std::vector<SequenceShape> BenchTarget::chunks(uint32_t count) const {
  std::vector<SequenceShape> shapes;
  for (uint32_t position = 0; position < count; position += chunk_) {
    const uint32_t rows = std::min(chunk_, count - position);
    shapes.push_back({rows, position, position + rows == count ? 1u : 0u});
  }
  return shapes;
}

void BenchTarget::fill(uint32_t count, uint32_t stream) {
  for (const SequenceShape& shape : chunks(count)) step(shape, stream, 1);
}

void BenchTarget::step(const SequenceShape& shape, uint32_t first, uint32_t streams) {
  const int32_t wanted = static_cast<int32_t>(shape.rows) - 1;
  const uint64_t pages = pages_.size() / digests_.size();
  sequences_.clear();
  for (uint64_t stream = first; stream < first + streams; ++stream) {
    sequences_.push_back({std::span(tokens_).subspan(stream * positions_ + shape.position, shape.rows),
                          shape.position, std::span(pages_).subspan(stream * pages, pages),
                          std::span(&wanted, shape.wanted)});
  }
  target_->step(sequences_);
  for (uint32_t i = 0; i < streams; ++i) {
    if (target_->refused_row(i) != program::kNone) throw target_->refusal(i);
  }
}

void BenchTarget::sample(uint32_t streams) {
  for (uint32_t i = 0; i < streams; ++i) {
    const std::span<const float> logits = target_->logits(i);
    digests_[i].logits(logits);
    digests_[i].token(numerics::argmax(logits));
  }
}

double BenchTarget::stream_bandwidth() {
  return cli::stream_bandwidth(*target_, buffer_);
}

MachineLimits BenchTarget::limits() {
  return measure_limits(*target_, buffer_);
}

}  // namespace lockstep::cli
