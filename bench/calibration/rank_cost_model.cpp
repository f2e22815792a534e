// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tests the cost models of the backends (`rank_cost`). Times both rank algorithms over a grid of group sizes, prints which one the
/// model chose and how much time that lost, and fits the constants of the model anew.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "support.hpp"

namespace {

using namespace infalign;
using namespace infalign::bench;

struct point {
  double k;
  double m;
  double counting;  // ns a prompt
  double sorting;
};

template <class Work>
double nanoseconds(Work&& work) {
  using clock = std::chrono::steady_clock;
  const auto start = clock::now();
  work();
  return std::chrono::duration<double, std::nano>(clock::now() - start).count();
}

template <class T, class Backend>
point measure_point(index_t k, index_t m) {
  const index_t prompts = std::clamp<index_t>((index_t{1} << 16) / (k + m), 1, 2000);
  const auto z = normal_values<T>(prompts * k, 1), y = normal_values<T>(prompts * m, 2);
  std::vector<T> out(y.size());
  auto on = Backend().unchecked();
  const auto run = [&](rank_algorithm algorithm) {
    calibrate(on, rows<const T>(z.data(), prompts, k), rows<const T>(y.data(), prompts, m), rows<T>(out.data(), prompts, m),
              {.algorithm = algorithm});
  };
  point p{static_cast<double>(k), static_cast<double>(m), infinity<double>, infinity<double>};
  for (int repetition = 0; repetition < 7; ++repetition) {
    p.counting = std::min(p.counting, nanoseconds([&] { run(rank_algorithm::counting); }));
    p.sorting = std::min(p.sorting, nanoseconds([&] { run(rank_algorithm::sorting); }));
  }
  p.counting /= static_cast<double>(prompts);
  p.sorting /= static_cast<double>(prompts);
  return p;
}

/// Least squares of the relative error: ns = a·x + b·y.
template <class X, class Y, class Time>
void fit(const char* name, const std::vector<point>& points, X&& x, Y&& y, Time&& time) {
  double xx = 0, xy = 0, yy = 0, xt = 0, yt = 0;
  for (const point& p : points) {
    const double u = x(p) / time(p), v = y(p) / time(p);
    xx += u * u;
    xy += u * v;
    yy += v * v;
    xt += u;
    yt += v;
  }
  const double determinant = xx * yy - xy * xy;
  std::printf("  %s: %.3f and %.3f ns\n", name, (xt * yy - yt * xy) / determinant, (yt * xx - xt * xy) / determinant);
}

template <class T, class Backend>
void study(const char* name) {
  std::printf("%s\n  %6s %6s %14s %14s  %s\n", name, "K", "M", "counting, us", "sorting, us", "model");
  std::vector<point> points;
  double loss = 0;
  for (const index_t k : {8, 16, 32, 64, 128, 256, 512, 1024, 4096})
    for (const index_t m : {1, 4, 16, 64, 256, 1024}) {
      const point p = measure_point<T, Backend>(k, m);
      const bool counts = rank_cost<Backend>::prefers_counting(k, m);
      const double excess = (counts ? p.counting : p.sorting) / std::min(p.counting, p.sorting) - 1;
      loss += excess;
      points.push_back(p);
      std::printf("  %6.0f %6.0f %14.3f %14.3f  %s", p.k, p.m, p.counting / 1e3, p.sorting / 1e3, counts ? "counts" : "sorts");
      excess > 0.05 ? std::printf(", loses %.0f %%\n", 100 * excess) : std::printf("\n");
    }
  std::printf("  mean loss %.1f %%\n", 100 * loss / static_cast<double>(points.size()));
  fit(
      "a comparison, a result of counting", points, [](const point& p) { return p.k * p.m; },
      [](const point& p) { return p.m; }, [](const point& p) { return p.counting; });
  fit(
      "a step of sorting, a step of search", points, [](const point& p) { return p.k * std::log2(p.k + 1); },
      [](const point& p) { return p.m * std::log2(p.k + 1); }, [](const point& p) { return p.sorting; });
}

}  // namespace

int main() {
  study<float, simd>("simd, float");
  study<double, simd>("simd, double");
  study<float, scalar>("scalar, float");
  study<double, scalar>("scalar, double");
}
