// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "support.hpp"

namespace {

using infalign::index_t;
using infalign::rows;
namespace bench = infalign::bench;

struct problem {
  index_t prompts;
  index_t samples;
  std::vector<float> y = bench::normal_values<float>(prompts * samples, 1);
  std::vector<float> z = bench::normal_values<float>(prompts * samples, 2);
  std::vector<double> wins = std::vector<double>(static_cast<std::size_t>(prompts));

  explicit problem(const benchmark::State& state) : prompts(1'000'000 / state.range(0)), samples(state.range(0)) {}
  rows<const float> policy() const { return {y.data(), prompts, samples}; }
  rows<const float> reference() const { return {z.data(), prompts, samples}; }
  void report(benchmark::State& state) const { bench::report(state, 2 * prompts * samples, prompts * (8 * samples + 8)); }
};

template <class Procedure>
void procedure_win_rate(benchmark::State& state, Procedure procedure, infalign::rank_algorithm algorithm) {
  problem p(state);
  infalign::simd on;
  bench::measure(state,
                 [&] { infalign::procedure_win_rate(on, p.policy(), p.reference(), procedure, procedure, p.wins, algorithm); });
  p.report(state);
}

/// What one would write without the library: sort both sides, weight each sample by the probability that it is the best of 4, and
/// merge. A tie counts ½, as the mean of the shares below and at or below.
void std_sort_and_merge(benchmark::State& state) {
  problem p(state);
  const auto m = static_cast<std::size_t>(p.samples);
  std::vector<double> share(m + 1);  // C(i, 4) / C(m, 4)
  for (std::size_t i = 0; i <= m; ++i) {
    double numerator = 1, denominator = 1;
    for (int k = 0; k < 4; ++k) {
      numerator *= static_cast<double>(i) - k;
      denominator *= static_cast<double>(m) - k;
    }
    share[i] = i < 4 ? 0 : numerator / denominator;
  }
  std::vector<float> y, z;
  bench::measure(state, [&] {
    for (index_t i = 0; i < p.prompts; ++i) {
      y.assign(p.policy()[i].data(), p.policy()[i].data() + m);
      z.assign(p.reference()[i].data(), p.reference()[i].data() + m);
      std::sort(y.begin(), y.end());
      std::sort(z.begin(), z.end());
      double wins = 0;
      std::size_t below = 0, at_or_below = 0;
      for (std::size_t j = 0; j < m; ++j) {
        while (below < m && z[below] < y[j]) ++below;
        while (at_or_below < m && z[at_or_below] <= y[j]) ++at_or_below;
        wins += (share[j + 1] - share[j]) * 0.5 * (share[below] + share[at_or_below]);
      }
      p.wins[static_cast<std::size_t>(i)] = wins;
    }
  });
  p.report(state);
}

void summarize(benchmark::State& state) {
  const auto values = bench::normal_values<double>(state.range(0), 1);
  infalign::simd on;
  for (auto _ : state) benchmark::DoNotOptimize(infalign::summarize(on, values));
  bench::report(state, state.range(0), 8 * state.range(0));
}

using infalign::rank_algorithm;

BENCHMARK_CAPTURE(procedure_win_rate, best_of_4, infalign::best_of(4), rank_algorithm::automatic)
    ->Arg(8)
    ->Arg(32)
    ->Arg(128)
    ->Arg(1024);
BENCHMARK_CAPTURE(procedure_win_rate, best_of_4_counting, infalign::best_of(4), rank_algorithm::counting)->Arg(32)->Arg(128);
BENCHMARK_CAPTURE(procedure_win_rate, best_of_4_sorting, infalign::best_of(4), rank_algorithm::sorting)->Arg(32)->Arg(128);
BENCHMARK_CAPTURE(procedure_win_rate, standard, infalign::standard(), rank_algorithm::automatic)->Arg(32);
BENCHMARK(std_sort_and_merge)->Arg(8)->Arg(32)->Arg(128)->Arg(1024);
BENCHMARK(summarize)->Arg(1'000'000);

}  // namespace
