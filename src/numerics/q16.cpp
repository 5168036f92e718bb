#include "numerics/q16.h"

#include <algorithm>

#include "numerics/float32.h"

namespace lockstep::numerics {

bool quantise(std::span<const float> x, int32_t levels, std::span<int16_t> a, float& s) {
  uint32_t m_bits = 0;
  for (float value : x) m_bits = std::max(m_bits, bits_of(value) & 0x7fffffffu);
  if (m_bits >= kQ16ErrorBits || m_bits < kQ16ZeroBits) {
    std::fill(a.begin(), a.end(), int16_t{0});
    s = 0.0f;
    return m_bits < kQ16ErrorBits;
  }
  const float m = from_bits(m_bits);
  const float top = static_cast<float>(levels);
  s = m / top;
  const float r = top / m;
  for (size_t i = 0; i < x.size(); ++i) a[i] = static_cast<int16_t>(rint32(x[i] * r));
  return true;
}

void unit_length(std::span<const int16_t> a, std::span<float> out) {
  int64_t total = 0;
  for (int64_t element : a) total += element * element;
  const float inverse = total == 0 ? 0.0f : 1.0f / sqrt32(f32(total));
  for (size_t i = 0; i < a.size(); ++i) out[i] = f32(a[i]) * inverse;
}

}  // namespace lockstep::numerics
