// SPDX-License-Identifier: Apache-2.0
/// \file
/// Functions of means: bootstrap, jackknife, delta method.
#include <array>
#include <cstddef>
#include <cstdint>

#include "coverage/measure.hpp"
#include "infalign/statistics/bootstrap.hpp"
#include "infalign/statistics/mean_covariance.hpp"

namespace infalign::coverage {
namespace {

double first(const double* m) {
  return m[0];
}
double ratio(const double* m) {
  return m[0] / m[1];
}

/// A function of the means of one or two values a prompt; `unit(random)` draws them.
template <class Statistic, class Unit>
void functions(table& to, const char* data, double truth, index_t values, const Statistic& statistic, int from,
               const Unit& unit) {
  std::vector<double> columns;
  to.add(data,
         {{"`bootstrap`, BCa", from, in_the_limit},
          {"`bootstrap`, percentile", from, in_the_limit},
          {"`jackknife`", from, in_the_limit},
          {"`delta_method`", from, in_the_limit},
          {"`delta_method`, range"}},
         [&](random_stream& random, int prompts, std::vector<outcome>& out) {
           columns.resize(static_cast<std::size_t>(values * prompts));
           mean_covariance seen(values);
           for (index_t p = 0; p < prompts; ++p) {
             const std::array<double, 2> drawn = unit(random);
             seen.add({drawn.data(), values});
             for (index_t k = 0; k < values; ++k)
               columns[static_cast<std::size_t>(k * prompts + p)] = drawn[static_cast<std::size_t>(k)];
           }
           const rows<const double> view(columns.data(), values, prompts);
           bootstrap_options options{.resamples = 500, .seed = random.generator()()};
           out[0] = holds(bootstrap(view, statistic, options).interval, truth);
           options.interval = bootstrap_interval::percentile;
           out[1] = holds(bootstrap(view, statistic, options).interval, truth);
           out[2] = holds(jackknife(view, statistic), truth);
           const estimate by_delta = delta_method(seen, statistic);
           out[3] = holds(by_delta, truth);
           out[4] = holds(estimate{by_delta.value, by_delta.standard_error, by_delta.count, 0, 1}, truth);
         });
}

}  // namespace

void functions_of_means(table& to) {
  const auto of_kind = [](const test::prompt_kind& of) {
    return [&of](random_stream& random) { return std::array<double, 2>{of.value(random), 0}; };
  };
  const auto& kinds = test::win_rate_kinds;
  functions(to, "mean of ordinary win rates", kinds[0].mean, 1, first, 200, of_kind(kinds[0]));
  functions(to, "mean of win rates, 0.987", kinds[5].mean, 1, first, 2000, of_kind(kinds[5]));
  functions(to, "ratio of skewed rewards, 0.5", 0.5, 2, ratio, 200, [](random_stream& random) {
    const double own = random.exponential();
    return std::array<double, 2>{own, own + random.exponential()};
  });
  std::vector<double> values;
  std::vector<index_t> clusters;
  to.add(
      "clusters of 1 to 8, half of the variance between",
      {{"`bootstrap_mean`, BCa", 200, in_the_limit}, {"`bootstrap_mean`, percentile", 200, in_the_limit}},
      [&](random_stream& random, int prompts, std::vector<outcome>& out) {
        values.clear();
        clusters.clear();
        for (index_t g = 0; g < prompts; ++g) {
          const double common = random.uniform();
          for (int i = 1 + static_cast<int>(8 * random.uniform()); i > 0; --i)
            values.push_back(0.5 * (common + random.uniform())), clusters.push_back(g);
        }
        bootstrap_options options{.resamples = 500, .seed = random.generator()()};
        out[0] = holds(bootstrap_mean(values, clusters, options).interval, 0.5);
        options.interval = bootstrap_interval::percentile;
        out[1] = holds(bootstrap_mean(values, clusters, options).interval, 0.5);
      },
      200);
}

}  // namespace infalign::coverage
