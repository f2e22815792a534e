// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "support.hpp"

namespace {

using infalign::index_t;
using infalign::rows;
namespace bench = infalign::bench;

/// 100 prompts with `range(0)` samples; rewards of `range(1)` levels, or continuous for 0.
struct problem {
  static constexpr index_t prompts = 100;
  index_t samples;
  std::vector<float> rewards;

  explicit problem(const benchmark::State& state)
      : samples(state.range(0)), rewards(bench::normal_values<float>(prompts * samples, 1)) {
    const auto levels = static_cast<float>(state.range(1));
    if (levels > 0)
      for (float& r : rewards) r = std::floor(levels * 0.5f * (1 + std::erf(r * 0.70710678f)));
  }
  rows<const float> base() const { return {rewards.data(), prompts, samples}; }
  void report(benchmark::State& state) const { bench::report(state, prompts, 4 * prompts * samples); }
};

void evaluate_off_policy(benchmark::State& state) {
  problem p(state);
  infalign::simd on;
  for (auto _ : state)
    benchmark::DoNotOptimize(infalign::evaluate_off_policy(on, p.base(), infalign::identity(), infalign::kl_weight(0.2),
                                                           infalign::best_of(4), infalign::best_of(4)));
  p.report(state);
}

/// What one would write without the library: leave out each sample in turn, and calibrate, tilt and count anew.
void leave_out_each_sample(benchmark::State& state) {
  problem p(state);
  infalign::simd on;
  const index_t n = p.prompts, k = p.samples;
  std::vector<float> others(static_cast<std::size_t>(n * (k - 1))), u(others.size());
  std::vector<double> wins(static_cast<std::size_t>(n)), kl(wins.size()), sum(wins.size());
  bench::measure(state, [&] {
    for (index_t left_out = 0; left_out < k; ++left_out) {
      for (index_t g = 0; g < n; ++g)
        for (index_t i = 0; i + 1 < k; ++i) others[g * (k - 1) + i] = p.base()[g][i + (i >= left_out ? 1 : 0)];
      const rows<const float> left(others.data(), n, k - 1), calibrated(u.data(), n, k - 1);
      infalign::calibrate(on, left, left, rows<float>(u.data(), n, k - 1));
      infalign::tilted_win_rate(on, calibrated, infalign::kl_weight(0.2), infalign::best_of(4), infalign::best_of(4), wins, kl);
      for (std::size_t g = 0; g < sum.size(); ++g) sum[g] += wins[g] + kl[g];
    }
  });
  p.report(state);
}

BENCHMARK(evaluate_off_policy)->ArgsProduct({{16, 128, 512}, {0, 2, 10, 100}});
BENCHMARK(leave_out_each_sample)->ArgsProduct({{16, 128, 512}, {0, 10}});

}  // namespace
