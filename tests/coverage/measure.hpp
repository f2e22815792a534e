// SPDX-License-Identifier: Apache-2.0
/// \file
/// The coverage of 95 % intervals: a row an estimator and a kind of data, a column a number of prompts.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "infalign/statistics/estimate.hpp"
#include "support/prompt_kinds.hpp"

namespace infalign::coverage {

using test::random_stream;

/// How many prompts (or clusters, where these are the unit) a data set has.
inline constexpr int sizes[] = {5, 20, 200, 2000};
inline constexpr int never = 1'000'000;

enum class outcome { missed, held, refused };
inline outcome holds(const confidence_interval& of, double truth) {
  return of.low <= truth && truth <= of.high ? outcome::held : outcome::missed;
}
inline outcome holds(const estimate& of, double truth) {
  return holds(of.interval(), truth);
}

/// An interval that is exact only in the limit of many prompts may lose four standard errors of 4,000 data sets.
inline constexpr double at_least = 0.94, in_the_limit = 0.95 - 4 * 0.00345;

/// An estimator, and the number of prompts from which it is to hold the truth in `least` of the data sets, or to refuse.
struct promise {
  std::string estimator;
  int from = sizes[0];
  double least = at_least;
};

/// One data set of so many prompts: the outcome of every estimator.
using trial = std::function<void(random_stream&, int prompts, std::vector<outcome>&)>;

/// Prints the rows, and remembers whether a promise was broken.
class table {
 public:
  /// `most` prompts at most, where more take too long.
  void add(const std::string& data, const std::vector<promise>& estimators, const trial& one, int most = sizes[3]);
  [[nodiscard]] bool kept() const { return broken_ == 0; }

  static constexpr int data_sets = 4000;  ///< the standard error of a share of 0.95 is 0.00345

 private:
  int broken_ = 0;
};

void means_in_a_range(table&);
void means_without_a_range(table&);
void functions_of_means(table&);
void judgments(table&);
void samples(table&);
void off_policy(table&);
void success_rates(table&);
void sequences(table&);

}  // namespace infalign::coverage
