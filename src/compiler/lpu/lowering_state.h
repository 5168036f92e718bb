// What a chip's lowering knows: layouts and places, fixed before anything is scheduled, and the values of the
// step that is being scheduled. Its functions are in lowering_places.cpp (before scheduling),
// lowering_pieces.cpp (what several operators are made of), lowering_attention.cpp, lowering_vocabulary.cpp
// and lowering.cpp.
#pragma once

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>

#include "base/error.h"
#include "compiler/lpu/lowering.h"
#include "compiler/lpu/vector_integers.h"
#include "compiler/lpu/vector_math.h"
#include "numerics/functions.h"
#include "numerics/q16.h"

namespace lockstep::compiler::lpu {

using namespace vector_math;
using graph::Node;
using graph::Op;
using program::isa::OperandKind;

inline constexpr uint32_t kMagnitudeMask = 0x7fffffff;

inline std::vector<uint32_t> words_of(const std::vector<float>& values) {
  std::vector<uint32_t> words(values.size());
  for (size_t i = 0; i < values.size(); ++i) words[i] = std::bit_cast<uint32_t>(values[i]);
  return words;
}

// The place `row` rows behind another.
inline Place row_of(Place place, uint32_t row) {
  place.row = static_cast<uint16_t>(place.row + row);
  return place;
}

struct Lowering::State {
  // A binary32 value of the graph: its vectors, as words in memory or results of ALUs, and the largest
  // magnitude of each lane over the vectors.
  struct Vectors {
    std::vector<Term> words;
    Term magnitude;
  };
  // A Q16 value: two planes of bytes a vector, in both hemispheres, and the scale in every lane.
  struct Quantised {
    std::vector<Term> high, low;
    Term scale;
  };
  // The sums of one row tile on one plane: S = 255 * (255 * high + middle) + low for weights of two parts,
  // 255 * high + low for one.
  struct Sums {
    Term high, middle, low;
  };
  struct HeadScale {
    Term scale, inverse;
  };
  struct AttentionPlacement {
    std::vector<std::vector<KvTile>> tiles;  // [block][set]
    std::vector<Place> head_masks;           // words, all ones in the lanes of a head of a vector
    std::array<std::vector<Place>, 2> identity;
    uint32_t spread = 0;               // permutation that takes each head's scale to every superlane
    std::vector<uint32_t> head_lanes;  // distributions that take it from there to every lane
  };
  struct NodePlacement {
    MatrixPlacement matrix;
    std::vector<Place> turned_scales, turned_biases;  // in the lanes of each lane's partner
    std::vector<Place> gains;
    uint32_t partner = 0;  // permutation of RoPE's pairs
    AttentionPlacement attention;
  };

  // The sums of a row tile for one row of the step, one for each plane that works on it.
  using TileSums = std::vector<Sums>;

  State(ChipModel& chip_model, uint32_t context, uint32_t rows_max);

  // ---- before scheduling
  void place_nodes(uint32_t context);
  void place_attention(uint32_t id, NodePlacement& placed, uint32_t blocks);
  void place_rope(const Node& node, NodePlacement& placed);
  std::vector<Place> vector_constants(const Layout& layout, const std::vector<float>& values,
                                      const std::vector<uint16_t>* permutation = nullptr);
  Place uniform(uint32_t bits) { return placement.words(std::vector<uint32_t>(lanes, bits)); }
  bool is_last() const { return model.share.is_last(); }
  bool is_alone() const { return model.share.groups == 1; }
  uint32_t parts() const { return model.share.parts; }
  std::string part_name(const std::string& name, const char* separator) const;
  graph::WeightId weight_of(Op op) const;
  Port& add_port(const std::string& name, Place place, uint32_t rows, int32_t node);

  // ---- one step
  void begin(const Extent& extent);
  Handover embed_tokens();
  Handover run(const Handover& received);
  Handover sent_before(uint32_t node, bool position);
  std::vector<uint32_t> crossing(uint32_t node) const;
  void keep_next_token();
  void begin_step();
  void end_step();
  void run_node(uint32_t id);
  uint32_t last_taker(uint32_t value) const;
  bool feeds(uint32_t id, Op op) const;  // nothing but operators of this kind takes the value
  Vectors embed(uint32_t id, uint32_t row);
  Vectors rms_norm(uint32_t id, uint32_t row);
  // Of all rows of the step.
  std::vector<Vectors> matmul(uint32_t id);
  std::vector<Vectors> rope(uint32_t id);
  std::vector<Vectors> silu_gate(uint32_t id);
  std::vector<Vectors> attention(uint32_t id);
  void head(uint32_t id);
  Term first_of_parts(Term largest, Term negative_id);

  Term constant(Place place) { return s->constant(place); }
  Term magnitude_of(const Term& x) { return s->op(LpuOp::And, x, immediate(kMagnitudeMask)); }
  void add_magnitude(Vectors& value, const Term& x);
  const Vectors& whole(uint32_t id, uint32_t row);
  std::vector<ChipScheduler::Sent> broadcast(const std::vector<Term>& words);
  Vectors joined_or(const Vectors& value);
  Term fold(std::vector<Term> terms, LpuOp op);
  Term maximum_over_lanes(const Term& x, LpuOp op, uint32_t span);
  std::vector<uint16_t> window_map(uint32_t first, uint32_t count) const;
  std::vector<uint16_t> span_map(uint32_t span) const;
  HeadScale scale_of(const Term& magnitude, const std::string& name, int32_t node, uint32_t row);
  void watch(const Term& magnitude, const std::string& name, int32_t node, uint32_t row);
  std::array<Term, 2> stored_planes(const Planes<Term>& planes, ChipScheduler::Copies copies);
  Quantised quantised(const Vectors& value, const std::string& name, int32_t node, uint32_t row);
  std::vector<TileSums> multiply_tile(const MatrixPlacement& matrix, uint32_t tile,
                                      const std::vector<Quantised>& xs);
  uint32_t tiles_at_once(uint32_t share) const;
  Term epilogue(const std::vector<Sums>& sums, const Quantised& x, const MatrixPlacement& matrix,
                Place scales, const Place* bias, const uint32_t* permutation);
  void install_ones(const std::vector<ChipScheduler::Plane>& planes);
  std::array<Term, 4> digit_sums(const std::vector<Term>& digits,
                                 const std::vector<ChipScheduler::Plane>& planes);

  ChipModel& model;
  const graph::Graph& graph;
  Placement& placement;
  uint32_t lanes, superlanes, blocks_max = 0, rows_max = 1;
  Layouts layouts;
  Links links;
  std::vector<std::vector<uint32_t>> users;  // of each node
  std::vector<NodePlacement> placed;
  VocabularyPlacement embedding, output;
  Place token_port, position_port, next_token_port, logits_port;
  Place dither_table, rope_table;
  uint32_t rope_rows = 0;
  std::map<std::string, Place> fault_ports;
  std::vector<uint32_t> rope_key;  // head width and lanes per head that the table is for

  // of a step
  std::unique_ptr<ChipScheduler> s;
  uint32_t blocks = 0, rows = 1;
  std::map<uint32_t, std::vector<Vectors>> vectors;  // by node, of each row
  std::map<uint32_t, std::vector<Quantised>> quantised_values;
  // A row's place: `staging` is its lane among the last of the block, where the step holds it; `is_new` and
  // slot_maps are of the place that it keeps.
  struct Row {
    Term position, cosines, sines, visible, is_new, staging;
    std::vector<Term> slot_maps;
  };
  std::vector<Row> step_rows;
  Term dither_last, next_token;
};

}  // namespace lockstep::compiler::lpu
