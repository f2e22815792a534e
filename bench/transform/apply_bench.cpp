// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <cmath>
#include <cstring>

#include "support.hpp"

namespace {

using infalign::index_t;
namespace bench = infalign::bench;

struct problem {
  index_t n;
  std::vector<float> u;
  std::vector<float> out;

  explicit problem(const benchmark::State& state) : n(state.range(0)), u(static_cast<std::size_t>(n)), out(u.size()) {
    for (std::size_t i = 0; i < u.size(); ++i) u[i] = (static_cast<float>(i) + 0.5f) / static_cast<float>(n);
  }
  void report(benchmark::State& state) const { bench::report(state, n, 8 * n); }
};

template <class Transform>
void apply(benchmark::State& state, Transform transform) {
  problem p(state);
  infalign::simd on;
  bench::measure(state, [&] { infalign::apply(on, transform, std::as_const(p.u), p.out); });
  p.report(state);
}

/// Without the look for values outside [0, 1].
template <class Transform>
void apply_unchecked(benchmark::State& state, Transform transform) {
  problem p(state);
  auto on = infalign::simd().unchecked();
  bench::measure(state, [&] { infalign::apply(on, transform, std::as_const(p.u), p.out); });
  p.report(state);
}

template <class Formula>
void std_loop(benchmark::State& state, Formula formula) {
  problem p(state);
  bench::measure(state, [&] {
    for (std::size_t i = 0; i < p.u.size(); ++i) p.out[i] = formula(p.u[i]);
  });
  p.report(state);
}

void eigen_exponential(benchmark::State& state) {
  problem p(state);
  bench::measure(state, [&] {
    Eigen::Map<Eigen::ArrayXf>(p.out.data(), p.n) = (10.0f * Eigen::Map<const Eigen::ArrayXf>(p.u.data(), p.n)).exp();
  });
  p.report(state);
}

void eigen_logarithm(benchmark::State& state) {
  problem p(state);
  bench::measure(
      state, [&] { Eigen::Map<Eigen::ArrayXf>(p.out.data(), p.n) = Eigen::Map<const Eigen::ArrayXf>(p.u.data(), p.n).log(); });
  p.report(state);
}

/// The physical limit: nothing reads and writes the values faster.
void memcpy_limit(benchmark::State& state) {
  problem p(state);
  bench::measure(state, [&] { std::memcpy(p.out.data(), p.u.data(), p.u.size() * sizeof(float)); });
  p.report(state);
}

infalign::tabulated square_root() {
  std::vector<double> u, values;
  for (int i = 0; i <= 256; ++i) {
    u.push_back(i / 256.0);
    values.push_back(std::sqrt(u.back()));
  }
  return {u, values};
}

constexpr index_t in_cache = 1 << 14;
constexpr index_t in_memory = 4'000'000;

BENCHMARK_CAPTURE(apply, exponential, infalign::exponential(10))->Arg(in_cache)->Arg(in_memory);
BENCHMARK_CAPTURE(apply, logarithm, infalign::logarithm())->Arg(in_cache)->Arg(in_memory);
BENCHMARK_CAPTURE(apply, power, infalign::power(3))->Arg(in_cache)->Arg(in_memory);
BENCHMARK_CAPTURE(apply, normal_quantile, infalign::normal_quantile())->Arg(in_cache)->Arg(in_memory);
BENCHMARK_CAPTURE(apply, tabulated, square_root())->Arg(in_cache)->Arg(in_memory);
BENCHMARK_CAPTURE(apply_unchecked, exponential, infalign::exponential(10))->Arg(in_cache)->Arg(in_memory);
BENCHMARK_CAPTURE(apply_unchecked, logarithm, infalign::logarithm())->Arg(in_cache)->Arg(in_memory);
BENCHMARK_CAPTURE(apply_unchecked, normal_quantile, infalign::normal_quantile())->Arg(in_cache)->Arg(in_memory);
BENCHMARK_CAPTURE(std_loop, exponential, [](float u) { return std::exp(10 * u); })->Arg(in_cache)->Arg(in_memory);
BENCHMARK_CAPTURE(std_loop, logarithm, [](float u) { return std::log(u); })->Arg(in_cache)->Arg(in_memory);
BENCHMARK(eigen_exponential)->Arg(in_cache)->Arg(in_memory);
BENCHMARK(eigen_logarithm)->Arg(in_cache)->Arg(in_memory);
BENCHMARK(memcpy_limit)->Arg(in_cache)->Arg(in_memory);

}  // namespace
