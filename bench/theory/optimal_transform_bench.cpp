// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <infalign/theory.hpp>

#include "support.hpp"

namespace {

namespace bench = infalign::bench;
using infalign::best_of;
using infalign::kl_weight;
using infalign::matchup;

template <class Procedure>
void optimal_transform(benchmark::State& state, Procedure procedure, double beta) {
  const matchup played(procedure);
  bench::measure(state, [&] { benchmark::DoNotOptimize(infalign::optimal_transform(played, kl_weight(beta)).win_rate()); });
}

/// What one would write without the library: shoots from the lower end by the classical Runge-Kutta method, and bisects on
/// log F'(0). With this number of steps its win rate has an error of 3e-5 at β = 0.02.
void shooting_by_hand(benchmark::State& state, infalign::index_t n, double beta) {
  const int steps = 2000;
  const auto slope = [&](double f, double u) {
    return static_cast<double>(n * n) * std::pow(std::min(f, 2.0) * u, static_cast<double>(n - 1)) / beta;
  };
  const auto end = [&](double start, double* win_rate) {
    double f = 0, p = start, lost = 0;
    const double h = 1.0 / steps;
    for (int i = 0; i < steps; ++i) {
      const double u = i * h;
      const double a = std::exp(p), b = slope(f, u);
      const double c = std::exp(p + h / 2 * b), d = slope(f + h / 2 * a, u + h / 2);
      const double e = std::exp(p + h / 2 * d), g = slope(f + h / 2 * c, u + h / 2);
      const double k = std::exp(p + h * g), l = slope(f + h * e, u + h);
      const double middle = f + h / 2 * c;
      const double next = f + h / 6 * (a + 2 * c + 2 * e + k);
      const auto loss = [&](double q, double x) { return std::pow(q, n) * static_cast<double>(n) * std::pow(x, n - 1); };
      lost += h / 6 * (loss(f, u) + 4 * loss(middle, u + h / 2) + loss(next, u + h));
      f = next;
      p += h / 6 * (b + 2 * d + 2 * g + l);
      if (!(f < 2)) return 2.0;
    }
    *win_rate = 1 - lost;
    return f;
  };
  bench::measure(state, [&] {
    double low = -60, high = 0, win_rate = 0;
    for (int i = 0; i < 60; ++i) {
      const double middle = 0.5 * (low + high);
      (end(middle, &win_rate) < 1 ? low : high) = middle;
    }
    benchmark::DoNotOptimize(end(low, &win_rate));
    state.counters["win_rate"] = win_rate;
  });
}

void plan(benchmark::State& state, const matchup& played) {
  const std::vector<infalign::kl_budget> budgets = {infalign::kl_budget(0.5), infalign::kl_budget(1), infalign::kl_budget(2)};
  bench::measure(state, [&] { benchmark::DoNotOptimize(infalign::plan(played, budgets).price); });
}

void tilted_density(benchmark::State& state) {
  const matchup played(best_of(4));
  bench::measure(state, [&] {
    benchmark::DoNotOptimize(infalign::tilted_density(infalign::exponential(10), kl_weight(5000)).win_rate(played));
  });
}

}  // namespace

BENCHMARK_CAPTURE(optimal_transform, best_of_4_beta_0 .02, best_of(4), 0.02)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(optimal_transform, best_of_16_beta_0 .02, best_of(16), 0.02)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(optimal_transform, best_of_4_beta_0 .1, best_of(4), 0.1)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(optimal_transform, best_of_4_beta_1, best_of(4), 1)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(optimal_transform, best_of_4_beta_0 .0001, best_of(4), 1e-4)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(optimal_transform, worst_of_4_beta_0 .02, infalign::worst_of(4), 0.02)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(optimal_transform, order_statistic_3_of_5_beta_0 .02, infalign::order_statistic(3, 5), 0.02)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(shooting_by_hand, best_of_4_beta_0 .02, 4, 0.02)->Unit(benchmark::kMicrosecond);
BENCHMARK(tilted_density)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(plan, best_of_4_three_budgets, matchup(best_of(4)))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plan, worst_of_4_three_budgets, matchup(infalign::worst_of(4)))->Unit(benchmark::kMillisecond);
