// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "support.hpp"

namespace {

using infalign::index_t;
using infalign::rank_algorithm;
using infalign::rows;
namespace bench = infalign::bench;

struct problem {
  index_t prompts;
  index_t samples;
  std::vector<float> y = bench::normal_values<float>(prompts * samples, 1);
  std::vector<double> best = std::vector<double>(static_cast<std::size_t>(prompts));

  explicit problem(const benchmark::State& state) : prompts(1'000'000 / state.range(0)), samples(state.range(0)) {}
  rows<const float> rewards() const { return {y.data(), prompts, samples}; }
  void report(benchmark::State& state) const { bench::report(state, prompts * samples, prompts * (4 * samples + 8)); }
};

void expected_reward(benchmark::State& state, rank_algorithm algorithm) {
  problem p(state);
  infalign::simd on;
  bench::measure(state, [&] { infalign::expected_reward(on, p.rewards(), infalign::best_of(4), p.best, algorithm); });
  p.report(state);
}

/// What one would write without the library: sort, and weight each sample by the probability that it is the best of 4.
void std_sort_and_weigh(benchmark::State& state) {
  problem p(state);
  const auto m = static_cast<std::size_t>(p.samples);
  std::vector<double> weight(m);  // C(i, 3) / C(m, 4)
  double all = 1;
  for (int k = 0; k < 4; ++k) all *= (static_cast<double>(m) - k) / (4 - k);
  for (std::size_t i = 3; i < m; ++i) {
    double subsets = 1;
    for (int k = 0; k < 3; ++k) subsets *= (static_cast<double>(i) - k) / (3 - k);
    weight[i] = subsets / all;
  }
  std::vector<float> y;
  bench::measure(state, [&] {
    for (index_t i = 0; i < p.prompts; ++i) {
      y.assign(p.rewards()[i].data(), p.rewards()[i].data() + m);
      std::sort(y.begin(), y.end());
      double sum = 0;
      for (std::size_t j = 0; j < m; ++j) sum += weight[j] * static_cast<double>(y[j]);
      p.best[static_cast<std::size_t>(i)] = sum;
    }
  });
  p.report(state);
}

BENCHMARK_CAPTURE(expected_reward, automatic, rank_algorithm::automatic)->Arg(8)->Arg(32)->Arg(128)->Arg(1024);
BENCHMARK_CAPTURE(expected_reward, counting, rank_algorithm::counting)->Arg(8)->Arg(32)->Arg(128)->Arg(1024);
BENCHMARK_CAPTURE(expected_reward, sorting, rank_algorithm::sorting)->Arg(8)->Arg(32)->Arg(128)->Arg(1024);
BENCHMARK(std_sort_and_weigh)->Arg(8)->Arg(32)->Arg(128)->Arg(1024);

}  // namespace
