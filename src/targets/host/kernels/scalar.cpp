// The scalar kernels: the layouts of the host read in the plainest way.
#include <algorithm>
#include <cstring>
#include <limits>

#include "numerics/functions.h"
#include "numerics/q16.h"
#include "targets/host/kernels/kernels.h"

namespace lockstep::targets::host {

namespace {

using numerics::f32;
using program::isa::kPagePositions;
using program::isa::kPanelRows;
using program::isa::KvLayout;
using program::isa::PanelKind;
using program::isa::PanelLayout;

float q16_scale(const std::byte* row, const Q16Layout& layout) {
  float scale;
  std::memcpy(&scale, row + layout.scale(), sizeof(scale));
  return scale;
}

// r and s of a Q16 whose largest magnitude has the bits m_bits; both 0 for a zero vector.
struct Q16Scale {
  float s = 0;
  float r = 0;
};
Q16Scale q16_scale_of(uint32_t m_bits, int32_t levels) {
  if (m_bits >= numerics::kQ16ErrorBits || m_bits < numerics::kQ16ZeroBits) return {};
  const float m = numerics::from_bits(m_bits);
  const float top = static_cast<float>(levels);
  return {m / top, top / m};
}

uint32_t largest_magnitude_bits(const float* x, uint64_t n) {
  uint32_t m_bits = 0;
  for (uint64_t i = 0; i < n; ++i) m_bits = std::max(m_bits, numerics::bits_of(x[i]) & 0x7fffffffu);
  return m_bits;
}

bool quantise(const float* x, uint64_t n, std::byte* out) {
  const Q16Layout layout(n);
  const uint32_t m_bits = largest_magnitude_bits(x, n);
  const Q16Scale scale = q16_scale_of(m_bits, numerics::kQ16Levels);
  auto* hi = reinterpret_cast<int8_t*>(out);
  auto* lo = hi + layout.lo();
  auto* hi_sums = reinterpret_cast<int16_t*>(out + layout.hi_sums());
  auto* lo_sums = reinterpret_cast<int16_t*>(out + layout.lo_sums());
  for (uint64_t block = 0; block < layout.padded; block += 16) {
    int32_t hi_sum = 0, lo_sum = 0;
    for (uint64_t i = block; i < block + 16; ++i) {
      const int32_t a = i < n && scale.r != 0 ? static_cast<int32_t>(numerics::rint32(x[i] * scale.r)) : 0;
      hi[i] = static_cast<int8_t>(numerics::plane_hi(a));
      lo[i] = static_cast<int8_t>(numerics::plane_lo(a));
      hi_sum += hi[i];
      lo_sum += lo[i];
    }
    hi_sums[block / 16] = static_cast<int16_t>(hi_sum);
    lo_sums[block / 16] = static_cast<int16_t>(lo_sum);
  }
  std::memcpy(out + layout.scale(), &scale.s, sizeof(float));
  return m_bits < numerics::kQ16ErrorBits;
}

bool norm_quantise(const float* x, const float* gain, float eps, uint64_t n, float* scratch, std::byte* out) {
  const uint32_t m_bits = largest_magnitude_bits(x, n);
  if (m_bits >= numerics::kQ16ErrorBits) {
    quantise(x, n, out);
    return false;
  }
  const Q16Scale scale = q16_scale_of(m_bits, numerics::kQ16Levels);
  int64_t total = 0;
  if (scale.r != 0) {
    for (uint64_t i = 0; i < n; ++i) {
      const int64_t a = static_cast<int64_t>(numerics::rint32(x[i] * scale.r));
      total += a * a;
    }
  }
  const float v = ((f32(total) / f32(static_cast<int64_t>(n))) * scale.s) * scale.s;
  const float inverse = 1.0f / numerics::sqrt32(v + eps);
  for (uint64_t i = 0; i < n; ++i) scratch[i] = (x[i] * inverse) * gain[i];
  return quantise(scratch, n, out);
}

bool gate_quantise(const float* gate, const float* up, uint64_t n, float* scratch, std::byte* out) {
  for (uint64_t i = 0; i < n; ++i) scratch[i] = numerics::silu(gate[i]) * up[i];
  return quantise(scratch, n, out);
}

bool quantise_head(const float* x, uint64_t n, int32_t levels, int16_t* a, float* scale) {
  const uint32_t m_bits = largest_magnitude_bits(x, n);
  const Q16Scale q16 = q16_scale_of(m_bits, levels);
  for (uint64_t i = 0; i < n; ++i) {
    a[i] = q16.r != 0 ? static_cast<int16_t>(numerics::rint32(x[i] * q16.r)) : int16_t{0};
  }
  *scale = q16.s;
  return m_bits < numerics::kQ16ErrorBits;
}

// Decodes one column block of a panel to w[16 rows][columns of the block].
void decode_block(const PanelLayout& layout, const std::byte* block, int16_t* w) {
  const uint32_t group = layout.group_columns;
  for (uint32_t i = 0; i < group; ++i) {
    for (uint32_t r = 0; r < kPanelRows; ++r) {
      auto byte_at = [&](uint32_t k) { return std::to_integer<int32_t>(block[k / 4 * 64 + r * 4 + k % 4]); };
      auto int16_at = [&](uint32_t offset) {
        int16_t value;
        std::memcpy(&value, block + offset, sizeof(value));
        return int32_t{value};
      };
      int32_t value = 0;
      switch (layout.kind) {
        case PanelKind::Nibble: {
          const int32_t both = byte_at(i % (group / 2));
          const int32_t code = (i < group / 2 ? both & 15 : both >> 4) - 8;
          value = int16_at(group * 8 + r * 4) * code + int16_at(group * 8 + r * 4 + 2);
          break;
        }
        case PanelKind::Byte:
          value = int16_at(group * 16 + r * 2) * (byte_at(i) - 128);
          if (layout.has_offsets) value += int16_at(group * 16 + 32 + r * 2);
          break;
        case PanelKind::Plain8:
          value = byte_at(i) - 128;
          break;
        case PanelKind::Plain16:
          value = 255 * (byte_at(i) - 128) + (byte_at(i + group) - 128);
          break;
      }
      w[r * group + i] = static_cast<int16_t>(value);
    }
  }
}

uint64_t multiply_peak(PanelKind, uint64_t rounds) {
  constexpr uint64_t kChains = 4;
  int64_t sums[kChains] = {};
  for (uint64_t i = 0; i < rounds; ++i) {
    for (int64_t& sum : sums) {
      int32_t w = 3, a = 5;
      asm volatile("" : "+r"(w), "+r"(a));  // hides the values, so that the product is computed
      sum += int64_t{w} * a;
      asm volatile("" : "+r"(sum));
    }
  }
  return rounds * kChains;
}

void matmul(const MatMulArguments& arguments) {
  const PanelLayout& layout = arguments.layout;
  const Q16Layout x_layout(layout.columns);
  const uint32_t group = layout.group_columns;
  int16_t w[kPanelRows * 32];
  constexpr uint32_t kRowsAtOnce = 16;
  for (uint64_t panel = arguments.panel_begin; panel < arguments.panel_end; ++panel) {
    for (uint32_t first = 0; first < arguments.rows; first += kRowsAtOnce) {
      const uint32_t count = std::min(kRowsAtOnce, arguments.rows - first);
      int64_t sums[kRowsAtOnce][kPanelRows] = {};
      for (uint64_t g = 0; g < layout.groups(); ++g) {
        decode_block(layout, arguments.panels + panel * layout.panel_bytes() + g * layout.group_bytes(), w);
        for (uint32_t m = 0; m < count; ++m) {
          const auto* hi =
              reinterpret_cast<const int8_t*>(arguments.x + (first + m) * arguments.x_row_bytes) + g * group;
          const auto* lo = hi + x_layout.lo();
          for (uint32_t r = 0; r < kPanelRows; ++r) {
            int64_t sum = 0;
            for (uint32_t i = 0; i < group; ++i) {
              sum += int64_t{w[r * group + i]} * (255 * int32_t{hi[i]} + int32_t{lo[i]});
            }
            sums[m][r] += sum;
          }
        }
      }
      for (uint32_t m = 0; m < count; ++m) {
        const float s = q16_scale(arguments.x + (first + m) * arguments.x_row_bytes, x_layout);
        float* y = arguments.y + (first + m) * arguments.y_row_floats;
        for (uint32_t i = 0; i < kPanelRows; ++i) {
          const uint64_t r = panel * kPanelRows + i;
          if (r >= layout.rows) break;
          float value = f32(sums[m][i]) * (arguments.scales[r] * s);
          if (arguments.bias != nullptr) value = value + arguments.bias[r];
          y[r] = arguments.add ? y[r] + value : value;
        }
      }
    }
  }
}

void rope(float* head, const float* cos, const float* sin, uint32_t pairs, bool halves) {
  for (uint32_t i = 0; i < pairs; ++i) {
    float& first = head[halves ? i : 2 * i];
    float& second = head[halves ? i + pairs : 2 * i + 1];
    const float x = first, y = second;
    first = x * cos[i] - y * sin[i];
    second = x * sin[i] + y * cos[i];
  }
}

void cos_sin(const int32_t* h, float* cos, float* sin, uint64_t n) {
  for (uint64_t i = 0; i < n; ++i) {
    const numerics::CosSin value = numerics::cos_sin(h[i]);
    cos[i] = value.cos;
    sin[i] = value.sin;
  }
}

void rope_angles(const uint64_t* turns, uint32_t pairs, uint32_t position, float* cos, float* sin) {
  for (uint32_t i = 0; i < pairs; ++i) {
    const int32_t h = static_cast<int32_t>(static_cast<uint32_t>((uint64_t{position} * turns[i]) >> 32));
    cos_sin(&h, cos + i, sin + i, 1);
  }
}

// The positions of the block that a query sees: fn(t, weight, the page's memory, slot in the page).
template <class Visit>
void for_each_seen(const AttentionBlock& block, uint32_t query, Visit visit) {
  const uint32_t end = std::min(block.page_end * kPagePositions, block.position + query / block.heads + 1);
  for (uint32_t t = block.page_begin * kPagePositions; t < end; ++t) {
    const uint32_t page = t / kPagePositions, slot = t % kPagePositions;
    const uint64_t row = uint64_t{page - block.page_begin} * block.count() + query;
    visit(t, block.weights[row * kPagePositions + slot], block.pages[page], slot);
  }
}

int64_t cache_element(const AttentionBlock& block, const std::byte* array, uint64_t index) {
  if (block.kv->kv_bits == 16) return reinterpret_cast<const int16_t*>(array)[index];
  return reinterpret_cast<const int8_t*>(array)[index];
}

void attention_scores(const AttentionBlock& block) {
  const KvLayout& kv = *block.kv;
  const uint64_t keys = kv.keys(block.layer, block.kv_head);
  const uint64_t key_scales = kv.key_scales(block.layer, block.kv_head);
  for (uint32_t i = 0; i < block.count(); ++i) {
    AttentionQuery& query = block.queries[i];
    int16_t* qa = block.planes + uint64_t{i} * 2 * kv.head_width;
    const float* q =
        block.q + i / block.heads * block.q_row_floats + uint64_t{i % block.heads} * kv.head_width;
    float qs = 0;
    query.fits = quantise_head(q, kv.head_width, numerics::kQ16Levels, qa, &qs);
    query.scale = qs * block.scale_log2;
    query.largest = -std::numeric_limits<float>::infinity();
    for_each_seen(block, i, [&](uint32_t, float& weight, const std::byte* page, uint32_t slot) {
      int64_t sum = 0;
      for (uint32_t d = 0; d < kv.head_width; ++d)
        sum += qa[d] * cache_element(block, page + keys, KvLayout::key_index(d, slot));
      const float ks = reinterpret_cast<const float*>(page + key_scales)[slot];
      weight = f32(sum) * (query.scale * ks);
      query.largest = std::max(query.largest, weight);
    });
  }
}

void attention_weigh(const AttentionBlock& block) {
  const uint64_t value_scales = block.kv->value_scales(block.layer, block.kv_head);
  for (uint32_t i = 0; i < block.count(); ++i) {
    AttentionQuery& query = block.queries[i];
    query.total = 0;
    query.weight_bits = 0;
    for_each_seen(block, i, [&](uint32_t t, float& weight, const std::byte* page, uint32_t slot) {
      const float e = numerics::exp2(weight - query.largest);
      query.total += static_cast<int64_t>(numerics::rint32(e * 0x1p24f + numerics::dither(t)));
      weight = e * reinterpret_cast<const float*>(page + value_scales)[slot];
      query.weight_bits = std::max(query.weight_bits, static_cast<int32_t>(numerics::bits_of(weight)));
    });
  }
}

void attention_values(const AttentionBlock& block) {
  const KvLayout& kv = *block.kv;
  const uint64_t values = kv.values(block.layer, block.kv_head);
  for (uint32_t i = 0; i < block.count(); ++i) {
    double* sums = block.sums + i * kv.value_lanes();
    std::fill_n(sums, kv.value_lanes(), 0.0);
    const Q16Scale scale =
        q16_scale_of(static_cast<uint32_t>(block.queries[i].weight_bits), numerics::kQ16Levels);
    for_each_seen(block, i, [&](uint32_t t, float& weight, const std::byte* page, uint32_t slot) {
      const auto ca = static_cast<int64_t>(numerics::rint32(weight * scale.r + numerics::dither(t)));
      for (uint32_t d = 0; d < kv.value_width; ++d) {
        sums[d] += static_cast<double>(ca * cache_element(block, page + values, kv.value_index(d, slot)));
      }
    });
  }
}

void attention_finish(const AttentionBlock& block, uint32_t begin, uint32_t end) {
  const KvLayout& kv = *block.kv;
  for (uint32_t i = begin; i < end; ++i) {
    const AttentionQuery& query = block.queries[i];
    const Q16Scale scale = q16_scale_of(static_cast<uint32_t>(query.weight_bits), numerics::kQ16Levels);
    const float out_scale = scale.s / (f32(query.total) * 0x1p-24f);
    float* out =
        block.out + i / block.heads * block.out_row_floats + uint64_t{i % block.heads} * kv.value_width;
    for (uint32_t d = 0; d < kv.value_width; ++d) {
      out[d] = query.fits ? static_cast<float>(block.sums[i * kv.value_lanes() + d]) * out_scale : 0.0f;
    }
  }
}

void exp2_array(const float* x, float* y, uint64_t n) {
  for (uint64_t i = 0; i < n; ++i) y[i] = numerics::exp2(x[i]);
}
void ln_array(const float* x, float* y, uint64_t n) {
  for (uint64_t i = 0; i < n; ++i) y[i] = numerics::ln(x[i]);
}
void ln1m_array(const float* x, float* y, uint64_t n) {
  for (uint64_t i = 0; i < n; ++i) y[i] = numerics::ln1m(x[i]);
}

}  // namespace

const KernelTable& scalar_kernels() {
  static constexpr KernelTable table = {
      .name = "scalar",
      .quantise = quantise,
      .norm_quantise = norm_quantise,
      .gate_quantise = gate_quantise,
      .quantise_head = quantise_head,
      .attention_scores = attention_scores,
      .attention_weigh = attention_weigh,
      .attention_values = attention_values,
      .attention_finish = attention_finish,
      .matmul = matmul,
      .multiply_peak = multiply_peak,
      .rope = rope,
      .rope_angles = rope_angles,
      .exp2 = exp2_array,
      .ln = ln_array,
      .ln1m = ln1m_array,
      .cos_sin = cos_sin,
  };
  return table;
}

}  // namespace lockstep::targets::host
