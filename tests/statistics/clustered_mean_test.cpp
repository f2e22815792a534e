// SPDX-License-Identifier: Apache-2.0
#include "infalign/statistics/clustered_mean.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "infalign/backend/scalar.hpp"
#include "infalign/statistics/sign_flip.hpp"
#include "infalign/statistics/summarize.hpp"
#include "support/samples.hpp"

using infalign::clustered_mean;
using infalign::estimate;
using infalign::index_t;
namespace test = infalign::test;

TEST_CASE("the cluster-robust error of a mean, as statsmodels has it") {
  const std::vector<double> values{0.25, 0.5, 1.0, 0.75, 0.0, 0.125, 1.0, 0.875, 0.5, 0.25};
  const std::vector<index_t> clusters{0, 0, 0, 1, 1, 2, 3, 3, 4, 4};
  const estimate e = clustered_mean(values, clusters);
  // statsmodels 0.14: OLS(values, ones).fit(cov_type="cluster", use_t=True), its bse and conf_int.
  CHECK(e.value == doctest::Approx(0.525).epsilon(1e-15));
  CHECK(e.standard_error == doctest::Approx(0.11463256518110372).epsilon(1e-14));
  CHECK(e.count == 5);
  CHECK(e.interval().low == doctest::Approx(0.20672898).epsilon(1e-7));
  CHECK(e.interval().high == doctest::Approx(0.84327102).epsilon(1e-7));
  // The names of clusters and the order of prompts do not matter.
  const std::vector<double> shuffled{0.5, 0.875, 0.25, 0.0, 0.5, 0.125, 1.0, 0.25, 0.75, 1.0};
  const std::vector<index_t> named{-7, 3, -7, 1L << 40, 9, 2, 3, 9, 1L << 40, -7};
  CHECK(clustered_mean(shuffled, named).standard_error == doctest::Approx(e.standard_error).epsilon(1e-14));
  CHECK(infalign::cluster_sums(shuffled, named) == std::vector<double>{1.75, 1.875, 0.75, 0.75, 0.125});
}

TEST_CASE("each prompt a cluster: the error of a mean; each prompt several times: that of one of each") {
  const auto values = test::normal_values<double>(200, 1);
  std::vector<index_t> own(200);
  for (index_t i = 0; i < 200; ++i) own[static_cast<std::size_t>(i)] = i;
  infalign::scalar on;
  const estimate plain = infalign::summarize(on, values, infalign::win_rate_range),
                 single = clustered_mean(values, own, infalign::win_rate_range);
  CHECK(single.value == doctest::Approx(plain.value).epsilon(1e-13));
  CHECK(single.standard_error == doctest::Approx(plain.standard_error).epsilon(1e-13));
  CHECK(single.count == 200);
  CHECK(single.lowest == 0);
  CHECK(single.highest == 1);
  std::vector<double> repeated;
  std::vector<index_t> clusters;
  for (int copy = 0; copy < 3; ++copy) {
    repeated.insert(repeated.end(), values.begin(), values.end());
    clusters.insert(clusters.end(), own.begin(), own.end());
  }
  CHECK(clustered_mean(repeated, clusters).standard_error == doctest::Approx(plain.standard_error).epsilon(1e-13));
}

TEST_CASE("one cluster has no known error") {
  const estimate one = clustered_mean(std::vector<double>{0.5, 0.75}, std::vector<index_t>{4, 4}, infalign::win_rate_range);
  CHECK(one.value == 0.625);
  CHECK(one.standard_error == std::numeric_limits<double>::infinity());
  CHECK(one.count == 1);
  CHECK(one.interval().low == 0);
  CHECK(one.interval().high == 1);
}

TEST_CASE("values that come in clusters: the 95 % interval covers, that of prompts taken as independent does not") {
  constexpr int data_sets = test::draws(4000), tested = test::draws(100), clusters = 20;
  std::mt19937_64 generator(5);
  std::uniform_real_distribution<double> uniform;
  std::uniform_int_distribution<int> size(1, 8);
  infalign::scalar on;
  int covered = 0, covered_in_range = 0, covered_plain = 0, rejected = 0, rejected_plain = 0;
  for (int d = 0; d < data_sets; ++d) {
    std::vector<double> values, differences;
    std::vector<index_t> ids;
    for (index_t g = 0; g < clusters; ++g) {
      const double common = uniform(generator);
      for (int i = size(generator); i > 0; --i) {
        values.push_back(0.5 * (common + uniform(generator)));  // mean 1/2, half of the variance between clusters
        differences.push_back(values.back() - 0.5);
        ids.push_back(g);
      }
    }
    const auto holds = [](const infalign::confidence_interval& i) { return i.low <= 0.5 && 0.5 <= i.high ? 1 : 0; };
    covered += holds(clustered_mean(values, ids).interval());
    covered_in_range += holds(clustered_mean(values, ids, infalign::win_rate_range).interval());
    covered_plain += holds(infalign::summarize(on, values).interval());
    if (d < tested) {  // the test by signs is dear
      rejected += infalign::sign_flip_p_value(infalign::cluster_sums(differences, ids)) <= 0.2;
      rejected_plain += infalign::sign_flip_p_value(differences) <= 0.2;
    }
  }
  const auto share = [](int of) { return static_cast<double>(of) / data_sets; };
  MESSAGE("covered: " << share(covered) << ", in a range: " << share(covered_in_range)
                      << ", as if independent: " << share(covered_plain));
  // Four standard errors, and one point for clusters of unequal sizes, of which there are few.
  CHECK(std::abs(share(covered) - 0.95) <= 4 * std::sqrt(0.95 * 0.05 / data_sets) + 0.01);
  CHECK(share(covered_in_range) >= share(covered));
  CHECK(share(covered_plain) <= 0.85);
  // The test by signs holds its level of 20 %, within four standard errors, where signs flip by cluster.
  CHECK(rejected <= 0.2 * tested + 4 * std::sqrt(0.2 * 0.8 * tested));
  CHECK(rejected_plain >= rejected);
}

TEST_CASE("sizes that do not agree and values that are not finite are errors") {
  const std::vector<index_t> ids{1, 2};
  const auto message = [&](const std::vector<double>& values) {
    return test::message_of<infalign::error>([&] { (void)clustered_mean(values, ids); });
  };
  CHECK(message({}) == "clustered_mean: values is empty");
  CHECK(message({1, 2, 3}) == "clustered_mean: clusters has 2 elements, values has 3");
  CHECK(message({1, std::numeric_limits<double>::quiet_NaN()}) == "clustered_mean: values[1] is nan, must be finite");
  CHECK(test::message_of<infalign::error>([&] { (void)infalign::cluster_sums(std::vector<double>{1}, ids); }) ==
        "cluster_sums: clusters has 2 elements, values has 1");
}
