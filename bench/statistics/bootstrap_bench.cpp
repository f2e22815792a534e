// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <thread>

#include "support.hpp"

namespace {

using infalign::index_t;
namespace bench = infalign::bench;

infalign::executor threads(std::size_t n) {
  if (n == 1) return {};
  return [n](std::size_t tasks, infalign::task_ref task) {
    std::vector<std::thread> all;
    for (std::size_t t = 0; t < n; ++t)
      all.emplace_back([=] {
        for (std::size_t i = t; i < tasks; i += n) task(i);
      });
    for (auto& thread : all) thread.join();
  };
}

/// 1000 resamples of the mean of `range(0)` values, on `range(1)` threads.
void bootstrap_mean(benchmark::State& state) {
  const auto values = bench::normal_values<double>(state.range(0), 1);
  infalign::bootstrap_options options{.resamples = 1000, .run = threads(static_cast<std::size_t>(state.range(1)))};
  for (auto _ : state) benchmark::DoNotOptimize(infalign::bootstrap_mean(values, {}, options));
  bench::report(state, options.resamples * state.range(0), options.resamples * state.range(0) * 8);
}

/// What one would write without the library: the standard library's generator and a loop.
void mt19937_and_a_loop(benchmark::State& state) {
  const auto values = bench::normal_values<double>(state.range(0), 1);
  std::mt19937_64 generator(1);
  std::uniform_int_distribution<std::size_t> draw(0, values.size() - 1);
  std::vector<double> means(1000);
  for (auto _ : state) {
    for (double& mean : means) {
      double sum = 0;
      for (std::size_t i = 0; i < values.size(); ++i) sum += values[draw(generator)];
      mean = sum / static_cast<double>(values.size());
    }
    benchmark::ClobberMemory();
  }
  bench::report(state, 1000 * state.range(0), 1000 * state.range(0) * 8);
}

BENCHMARK(bootstrap_mean)->ArgsProduct({{200, 20'000}, {1, 2}})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(mt19937_and_a_loop)->Args({200, 1})->Args({20'000, 1})->Unit(benchmark::kMillisecond);

}  // namespace
