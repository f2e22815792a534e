// SPDX-License-Identifier: Apache-2.0
/// \file
/// Means over prompts, over clusters of them and over strata, of quantities with a range and without.
#include <cmath>
#include <cstdint>

#include "coverage/measure.hpp"
#include "infalign/statistics/clustered_mean.hpp"
#include "infalign/statistics/mean_covariance.hpp"
#include "infalign/statistics/stratified.hpp"
#include "infalign/statistics/summary.hpp"
#include "infalign/statistics/variance_split.hpp"

namespace infalign::coverage {
namespace {

summary of_prompts(const test::prompt_kind& of, int prompts, random_stream& random) {
  summary values;
  for (int p = 0; p < prompts; ++p) values.add(of.value(random));
  return values;
}

/// Prompts of clusters: `size(random, g, clusters)` of them in cluster g, and `common(random)` what they share.
struct clustered {
  std::vector<double> values;
  std::vector<index_t> ids;
  template <class Size, class Common, class Value>
  void draw(random_stream& random, int clusters, const Size& size, const Common& common, const Value& value) {
    values.clear();
    ids.clear();
    for (index_t g = 0; g < clusters; ++g) {
      const double shared = common(random);
      for (int i = size(random, g, clusters); i > 0; --i) values.push_back(value(random, shared)), ids.push_back(g);
    }
  }
  [[nodiscard]] estimate mean(quantity_range range = {}) const { return clustered_mean(values, ids, range); }
  /// As if prompts were independent: what one should not do.
  [[nodiscard]] estimate pooled(quantity_range range) const {
    summary all;
    for (const double x : values) all.add(x);
    return estimate_of(all, range);
  }
};

int one_to_eight(random_stream& random, index_t, int) {
  return 1 + static_cast<int>(8 * random.uniform());
}

void clusters_in_a_range(table& to) {
  clustered of;
  const auto add = [&](const char* data, double truth, int from, const auto& size, const auto& common, const auto& value) {
    to.add(data, {{"`clustered_mean`, range", from}, {"`estimate_of`, clusters pooled", never}},
           [&](random_stream& random, int prompts, std::vector<outcome>& out) {
             of.draw(random, prompts, size, common, value);
             out[0] = holds(of.mean(win_rate_range), truth);
             out[1] = holds(of.pooled(win_rate_range), truth);
           });
  };
  const auto uniform = [](random_stream& random) { return random.uniform(); };
  const auto average = [](random_stream& random, double shared) { return 0.5 * (shared + random.uniform()); };
  add("clusters of 1 to 8, half of the variance between", 0.5, 5, one_to_eight, uniform, average);
  add(
      "clusters of 4 with one answer", 0.7, 5, [](random_stream&, index_t, int) { return 4; },
      [](random_stream& random) { return random.wins(0.7, 1); }, [](random_stream&, double shared) { return shared; });
  add("clusters of 1 to 8, mostly tied", 0.535, 5, one_to_eight, uniform, [](random_stream& random, double u) {
    return u < 0.7 || random.uniform() < 0.3 ? 0.5 : u < 0.9 ? 1.0 : 0.0;
  });
  add(
      "clusters of 1 to 8, 0.985", 0.985, 5, one_to_eight, [](random_stream& random) { return random.wins(0.97, 1); },
      [](random_stream& random, double shared) { return shared > 0 ? 1.0 : random.wins(0.5, 1); });
  add(
      "one cluster with a quarter of the prompts", 0.5, never,
      [](random_stream&, index_t g, int clusters) { return g == 0 ? clusters / 3 : 1; }, uniform, average);
}

void strata(table& to, const char* data, double weight, int share, const test::prompt_kind& a, const test::prompt_kind& b,
            quantity_range range, int from) {
  const double truth = weight * a.mean + (1 - weight) * b.mean;
  to.add(data,
         {{range.highest < infinity<double> ? "`stratified_mean`, range" : "`stratified_mean`", from,
           range.highest < infinity<double> ? at_least : in_the_limit}},
         [&, weight, share](random_stream& random, int prompts, std::vector<outcome>& out) {
           const int first = std::max(2, prompts / share);
           const summary both[] = {of_prompts(a, first, random), of_prompts(b, prompts - first, random)};
           const double weights[] = {weight, 1 - weight};
           out[0] = holds(stratified_mean(both, weights, range), truth);
         });
}

constexpr test::prompt_kind rewards[] = {
    {"normal", 0, [](random_stream& s) { return s.normal(); }, {}},
    {"exponential", 1, [](random_stream& s) { return s.exponential(); }, {}},
    {"Student's t, 3 degrees",
     0,
     [](random_stream& s) {
       const double a = s.normal(), b = s.normal(), c = s.normal();
       return s.normal() / std::sqrt((a * a + b * b + c * c) / 3);
     },
     {}},
    {"log-normal, σ = 1", 1.6487212707001282, [](random_stream& s) { return std::exp(s.normal()); }, {}},
    {"Pareto, index 2.5", 5.0 / 3, [](random_stream& s) { return std::exp(0.4 * s.exponential()); }, {}},
    {"100 in 1 % of prompts, else 0", 1, [](random_stream& s) { return s.uniform() < 0.01 ? 100.0 : 0.0; }, {}},
};

}  // namespace

void means_in_a_range(table& to) {
  for (const auto& of : test::win_rate_kinds)
    to.add(of.name, {{"`estimate_of`, win rate"}}, [&](random_stream& random, int prompts, std::vector<outcome>& out) {
      out[0] = holds(estimate_of(of_prompts(of, prompts, random), of.range), of.mean);
    });
  for (const auto& of : test::difference_kinds)
    to.add(of.name, {{"`estimate_of`, difference"}}, [&](random_stream& random, int prompts, std::vector<outcome>& out) {
      out[0] = holds(estimate_of(of_prompts(of, prompts, random), of.range), of.mean);
    });
  to.add("two samples a prompt", {{"`variance_split::mean`, range"}},
         [](random_stream& random, int prompts, std::vector<outcome>& out) {
           variance_split seen;
           for (int p = 0; p < prompts; ++p) {
             summary own;
             const double rate = random.uniform();
             for (int i = 0; i < 2; ++i) own.add(random.wins(rate, 1));
             seen.add(own);
           }
           out[0] = holds(seen.mean(win_rate_range), 0.5);
         });
  clusters_in_a_range(to);
  const auto& kinds = test::win_rate_kinds;
  strata(to, "ordinary and one sample a prompt, half each", 0.75, 2, kinds[0], kinds[1], win_rate_range, 5);
  strata(to, "0.987 and 98 % won, half each", 0.5, 2, kinds[5], kinds[7], win_rate_range, 5);
  strata(to, "98 % won of weight 0.9 in a tenth of the prompts", 0.9, 10, kinds[7], kinds[0], win_rate_range, 5);
  strata(to, "98 % won of weight 0.1 in half of the prompts", 0.1, 2, kinds[7], kinds[0], win_rate_range, 5);
}

void means_without_a_range(table& to) {
  for (const auto& of : rewards)
    to.add(of.name, {{"`estimate_of`", &of < rewards + 3 ? 200 : never, in_the_limit}},
           [&](random_stream& random, int prompts, std::vector<outcome>& out) {
             out[0] = holds(estimate_of(of_prompts(of, prompts, random)), of.mean);
           });
  to.add("difference of two policies' exponential rewards", {{"`mean_covariance::combined`", 200, in_the_limit}},
         [](random_stream& random, int prompts, std::vector<outcome>& out) {
           mean_covariance seen(2);
           for (int p = 0; p < prompts; ++p) {
             const double common = random.normal(), unit[] = {common + random.exponential(), common + random.exponential()};
             seen.add(unit);
           }
           const double minus[] = {1, -1};
           out[0] = holds(seen.combined(minus), 0);
         });
  clustered of;
  const auto add = [&](const char* data, double truth, int from, const auto& size, const auto& common, const auto& value) {
    to.add(data, {{"`clustered_mean`", from, in_the_limit}},
           [&](random_stream& random, int prompts, std::vector<outcome>& out) {
             of.draw(random, prompts, size, common, value);
             out[0] = holds(of.mean(), truth);
           });
  };
  const auto normal = [](random_stream& random) { return random.normal(); };
  const auto exponential = [](random_stream& random) { return random.exponential(); };
  add("normal, clusters of 1 to 8", 0, 200, one_to_eight, normal,
      [](random_stream& random, double shared) { return shared + random.normal(); });
  add("exponential, clusters of 1 to 8", 2, 200, one_to_eight, exponential,
      [](random_stream& random, double shared) { return shared + random.exponential(); });
  strata(to, "normal and exponential, half each", 0.75, 2, rewards[0], rewards[1], {}, 200);
}

}  // namespace infalign::coverage
