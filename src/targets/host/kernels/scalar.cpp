// The scalar kernels: the layouts of the host read in the plainest way.
#include <algorithm>
#include <cstring>

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

template <class T>
bool attend(const AttentionArguments& arguments) {
  const KvLayout& kv = *arguments.kv;
  constexpr uint32_t kHeadWidthMax = 1024;
  int16_t qa[kHeadWidthMax];
  float qs = 0;
  if (!quantise_head(arguments.q, kv.head_width, numerics::kQ16Levels, qa, &qs)) {
    std::fill_n(arguments.out, kv.value_width, 0.0f);
    return false;
  }
  auto array = [&](uint32_t t, uint64_t offset) { return arguments.pages[t / kPagePositions] + offset; };
  const uint64_t keys = kv.keys(arguments.layer, arguments.kv_head);
  const uint64_t values = kv.values(arguments.layer, arguments.kv_head);
  const uint64_t key_scales = kv.key_scales(arguments.layer, arguments.kv_head);
  const uint64_t value_scales = kv.value_scales(arguments.layer, arguments.kv_head);

  float max = 0;
  for (uint32_t t = 0; t < arguments.positions; ++t) {
    const T* k = reinterpret_cast<const T*>(array(t, keys));
    int64_t sum = 0;
    for (uint32_t d = 0; d < kv.head_width; ++d) {
      sum += int64_t{qa[d]} * k[KvLayout::key_index(d, t % kPagePositions)];
    }
    const float ks = reinterpret_cast<const float*>(array(t, key_scales))[t % kPagePositions];
    const float z = f32(sum) * ((qs * arguments.scale_log2) * ks);
    arguments.weights[t] = z;
    if (t == 0 || z > max) max = z;
  }
  int64_t total = 0;
  for (uint32_t t = 0; t < arguments.positions; ++t) {
    const float e = numerics::exp2(arguments.weights[t] - max);
    total += static_cast<int64_t>(numerics::rint32(e * 0x1p24f + numerics::dither(t)));
    arguments.weights[t] = e * reinterpret_cast<const float*>(array(t, value_scales))[t % kPagePositions];
  }
  const Q16Scale scale =
      q16_scale_of(largest_magnitude_bits(arguments.weights, arguments.positions), numerics::kQ16Levels);
  int64_t sums[kHeadWidthMax] = {};
  for (uint32_t t = 0; t < arguments.positions && scale.r != 0; ++t) {
    const int64_t ca =
        static_cast<int64_t>(numerics::rint32(arguments.weights[t] * scale.r + numerics::dither(t)));
    const T* v = reinterpret_cast<const T*>(array(t, values));
    for (uint32_t d = 0; d < kv.value_width; ++d) sums[d] += ca * v[kv.value_index(d, t % kPagePositions)];
  }
  const float out_scale = scale.s / (f32(total) * 0x1p-24f);
  for (uint32_t d = 0; d < kv.value_width; ++d) arguments.out[d] = f32(sums[d]) * out_scale;
  return true;
}

bool attention(const AttentionArguments& arguments) {
  return arguments.kv->kv_bits == 16 ? attend<int16_t>(arguments) : attend<int8_t>(arguments);
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
      .attention = attention,
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
