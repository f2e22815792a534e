// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the optimal policy will be worth, predicted for some transforms and KL weights, and how it is printed for programs.
#pragma once

#include <string>
#include <vector>

#include "infalign/evaluation/off_policy.hpp"
#include "infalign/transform/any_transform.hpp"
#include "left_out.hpp"
#include "procedures.hpp"
#include "reward_table.hpp"

namespace command {

struct prediction {
  std::string transform;
  double beta;
  infalign::off_policy_evaluation expected;
};

/// Throws `failure` for a prompt with fewer than two rewards: the prediction leaves each out in turn (the jackknife).
void expect_two(const reward_table& reference);

/// The prediction, cut to its range: a correction of the bias may have left it.
double shown(const infalign::estimate& of);

/// The fields of a report, without the braces around them.
json_object prediction_json(double level, const procedures& served, const std::vector<prediction>& found,
                            const left_out& without);

/// Throws `usage_failure` for a name that is none.
std::vector<infalign::any_transform> parse_transforms(const std::vector<std::string>& names);
/// Throws `failure` where a prediction is not finite: a very steep transform can leave the range of `double`.
void expect_finite(const prediction& of);

/// Of every transform at every beta: `expected(transform, beta)`.
template <class Expected>
std::vector<prediction> predict(const std::vector<std::string>& transforms, const std::vector<double>& betas,
                                const Expected& expected) {
  std::vector<prediction> found;
  for (const infalign::any_transform& transform : parse_transforms(transforms))
    for (const double beta : betas) {
      found.push_back({transform.name(), beta, expected(transform, beta)});
      expect_finite(found.back());
    }
  return found;
}

}  // namespace command
