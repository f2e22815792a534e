// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

namespace {

using infalign::index_t;
using infalign::rows;
namespace bench = infalign::bench;

/// 20,000 prompts with 64 samples of either policy.
struct problem {
  static constexpr index_t prompts = 20'000, samples = 64;
  std::vector<float> y = bench::normal_values<float>(prompts * samples, 1);
  std::vector<float> z = bench::normal_values<float>(prompts * samples, 2);
  std::vector<double> curve = std::vector<double>(static_cast<std::size_t>(prompts * samples));

  rows<const float> policy() const { return {y.data(), prompts, samples}; }
  rows<const float> base() const { return {z.data(), prompts, samples}; }
};

void win_rate_curve(benchmark::State& state) {
  problem p;
  infalign::simd on;
  const index_t most = state.range(0);
  bench::measure(
      state, [&] { infalign::win_rate_curve(on, p.policy(), p.base(), rows<double>(p.curve.data(), problem::prompts, most)); });
  bench::report(state, problem::prompts * most, problem::prompts * (8 * problem::samples + 8 * most));
}

/// What one would call without it: one N after another.
void win_rate_of_every_n(benchmark::State& state) {
  problem p;
  infalign::simd on;
  const index_t most = state.range(0);
  std::vector<double> wins(static_cast<std::size_t>(problem::prompts));
  bench::measure(state, [&] {
    for (index_t n = 1; n <= most; ++n) infalign::procedure_win_rate(on, p.policy(), p.base(), infalign::best_of(n), wins);
  });
  bench::report(state, problem::prompts * most, problem::prompts * (8 * problem::samples + 8 * most));
}

BENCHMARK(win_rate_curve)->Arg(3)->Arg(4)->Arg(16)->Arg(64)->Unit(benchmark::kMillisecond);
BENCHMARK(win_rate_of_every_n)->Arg(1)->Arg(4)->Arg(64)->Unit(benchmark::kMillisecond);

}  // namespace
