// SPDX-License-Identifier: Apache-2.0
// How far to optimise a proxy: the true reward rises with it up to the quantile 12/13, and falls beyond.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <vector>

int main() {
  using infalign::index_t;
  const index_t prompts = 500, samples = 40, most = 30;
  const double scale = 13 * std::pow(13.0 / 12, 12);
  std::vector<double> proxy, truth, curve(static_cast<std::size_t>(prompts * most));
  for (index_t i = 0; i < prompts * samples; ++i) {
    proxy.push_back(infalign::uniform_at(1, static_cast<std::uint64_t>(i)));
    truth.push_back(scale * std::pow(proxy.back(), 12) * (1 - proxy.back()));
  }
  infalign::simd on;
  const infalign::rows<const double> v(proxy.data(), prompts, samples), t(truth.data(), prompts, samples);
  infalign::proxy_reward_curve(on, v, t, infalign::rows<double>(curve.data(), prompts, most));
  const auto best = infalign::choose_on_curve(infalign::rows<const double>(curve.data(), prompts, most));
  std::printf("best of %d: true reward %.4f ± %.4f; it may be %d to %d\n", static_cast<int>(best.step + 1), best.value.value,
              best.value.standard_error, static_cast<int>(best.first + 1), static_cast<int>(best.last + 1));
  // By hand: best-of-n is worth scale·n/((n + 12)(n + 13)), most at n = 12 and 13.
  const double exact = scale * 12 / (24 * 25);
  const infalign::estimate& twelve = best.curve[11];
  return std::abs(twelve.value - exact) <= 4 * twelve.standard_error && best.first < 12 && best.last >= 11 ? 0 : 1;
}
