// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <algorithm>

#include "support.hpp"

namespace {

using infalign::index_t;
using infalign::rows;
namespace bench = infalign::bench;

constexpr index_t prompts = 20'000;
constexpr index_t references = 128;

struct problem {
  index_t rollouts;
  std::vector<float> z = bench::normal_values<float>(prompts * references, 1);
  std::vector<float> y = bench::normal_values<float>(prompts * rollouts, 2);
  std::vector<float> u = std::vector<float>(static_cast<std::size_t>(prompts * rollouts));

  explicit problem(const benchmark::State& state) : rollouts(state.range(0)) {}
  rows<const float> reference_rows() const { return {z.data(), prompts, references}; }
  rows<const float> reward_rows() const { return {y.data(), prompts, rollouts}; }
  rows<float> out() { return {u.data(), prompts, rollouts}; }
  void report(benchmark::State& state) const {
    bench::report(state, prompts * rollouts, 4 * prompts * (references + 2 * rollouts));
  }
};

template <class Backend>
void calibrate(benchmark::State& state, Backend on, infalign::rank_algorithm algorithm) {
  problem p(state);
  bench::measure(state,
                 [&] { infalign::calibrate(on, p.reference_rows(), p.reward_rows(), p.out(), {.algorithm = algorithm}); });
  p.report(state);
}

void calibrate_transform(benchmark::State& state) {
  problem p(state);
  infalign::simd on;
  bench::measure(state, [&] {
    infalign::calibrate_transform(on, p.reference_rows(), p.reward_rows(), infalign::exponential(10), p.out());
  });
  p.report(state);
}

void calibrate_leave_one_out(benchmark::State& state) {
  const index_t k = state.range(0);
  const auto z = bench::normal_values<float>(prompts * k, 1);
  std::vector<float> u(z.size());
  infalign::simd on;
  bench::measure(state, [&] {
    infalign::calibrate_leave_one_out(on, rows<const float>(z.data(), prompts, k), rows<float>(u.data(), prompts, k));
  });
  bench::report(state, prompts * k, 8 * prompts * k);
}

void std_count_if(benchmark::State& state) {
  problem p(state);
  bench::measure(state, [&] {
    for (index_t i = 0; i < prompts; ++i) {
      const auto z = p.reference_rows()[i];
      for (index_t j = 0; j < p.rollouts; ++j) {
        const float y = p.reward_rows()[i][j];
        const auto below = std::count_if(z.data(), z.data() + references, [y](float v) { return v < y; });
        const auto at_or_below = std::count_if(z.data(), z.data() + references, [y](float v) { return v <= y; });
        p.out()[i][j] = static_cast<float>(below + at_or_below) * (0.5f / static_cast<float>(references));
      }
    }
  });
  p.report(state);
}

void std_sort_and_bounds(benchmark::State& state) {
  problem p(state);
  std::vector<float> sorted(static_cast<std::size_t>(references));
  bench::measure(state, [&] {
    for (index_t i = 0; i < prompts; ++i) {
      const auto z = p.reference_rows()[i];
      std::copy(z.data(), z.data() + references, sorted.begin());
      std::sort(sorted.begin(), sorted.end());
      for (index_t j = 0; j < p.rollouts; ++j) {
        const auto [below, at_or_below] = std::equal_range(sorted.begin(), sorted.end(), p.reward_rows()[i][j]);
        p.out()[i][j] = static_cast<float>((below - sorted.begin()) + (at_or_below - sorted.begin())) *
                        (0.5f / static_cast<float>(references));
      }
    }
  });
  p.report(state);
}

void eigen_count(benchmark::State& state) {
  problem p(state);
  bench::measure(state, [&] {
    for (index_t i = 0; i < prompts; ++i) {
      const Eigen::Map<const Eigen::ArrayXf> z(p.reference_rows()[i].data(), references);
      for (index_t j = 0; j < p.rollouts; ++j) {
        const float y = p.reward_rows()[i][j];
        p.out()[i][j] = static_cast<float>((z < y).count() + (z <= y).count()) * (0.5f / static_cast<float>(references));
      }
    }
  });
  p.report(state);
}

using infalign::rank_algorithm;

BENCHMARK_CAPTURE(calibrate, simd, infalign::simd(), rank_algorithm::automatic)->Arg(1)->Arg(4)->Arg(16)->Arg(64);
BENCHMARK_CAPTURE(calibrate, simd_unchecked, infalign::simd().unchecked(), rank_algorithm::automatic)->Arg(4)->Arg(16)->Arg(64);
BENCHMARK_CAPTURE(calibrate, simd_counting, infalign::simd(), rank_algorithm::counting)->Arg(64)->Arg(512);
BENCHMARK_CAPTURE(calibrate, simd_sorting, infalign::simd(), rank_algorithm::sorting)->Arg(64)->Arg(512);
BENCHMARK_CAPTURE(calibrate, scalar, infalign::scalar(), rank_algorithm::automatic)->Arg(4);
BENCHMARK(calibrate_transform)->Arg(4)->Arg(16)->Arg(64);
BENCHMARK(calibrate_leave_one_out)->Arg(64)->Arg(256);
BENCHMARK(std_count_if)->Arg(1)->Arg(4)->Arg(16)->Arg(64);
BENCHMARK(std_sort_and_bounds)->Arg(4)->Arg(16)->Arg(64);
BENCHMARK(eigen_count)->Arg(4)->Arg(16)->Arg(64);

}  // namespace
