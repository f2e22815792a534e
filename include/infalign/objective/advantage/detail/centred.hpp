// SPDX-License-Identifier: Apache-2.0
/// \file
/// The advantages `factor·(r_i - mean)` of a group, one kernel for all factors.
#pragma once

#include <cmath>

#include "infalign/core/math.hpp"
#include "infalign/core/shapes.hpp"
#include "infalign/objective/advantage/group_options.hpp"

namespace infalign::detail {

/// What deviations from the mean are multiplied by.
struct centred_factor {
  enum class kind {
    constant,       ///< `value`, or `*at` where that is not null
    leave_one_out,  ///< n/(n - 1)
    deviation,      ///< 1/(sd + epsilon)
    mean,           ///< 1/(mean + epsilon)
  };
  kind what = kind::constant;
  double value = 1;
  double epsilon = 0;
  double lost = 1;  ///< degrees of freedom that `sd` loses: 1 by Bessel's correction, else 0
  const double* at = nullptr;

  /// From the number of rewards, their mean, and the sum of squared deviations.
  [[nodiscard]] INFALIGN_HD double operator()(double n, double mean, double squares) const {
    using std::sqrt;
    if (what == kind::leave_one_out) return n > 1 ? n / (n - 1) : 1;
    if (what == kind::deviation) return 1 / ((n > lost ? sqrt(squares / (n - lost)) : 0) + epsilon);
    if (what == kind::mean) return 1 / (mean + epsilon);
    return at == nullptr ? value : *at;
  }
  /// That of a group of one where mean 0 and deviation 1 are assumed.
  [[nodiscard]] INFALIGN_HD double alone() const { return what == kind::deviation ? 1 / (1 + epsilon) : (*this)(1, 0, 0); }
};

/// The mean is that of the rewards and, in a second pass, of what remains: so it is right to the spacing of the rewards,
/// however large they are beside their spread, and rewards that are all equal have deviations of exactly 0.
template <class Rewards, class Out>
struct centred_kernel {
  Rewards rewards;
  Out out;
  centred_factor factor;
  double substitute;  ///< for NaN; NaN where those are left out
  bool keep_single;   ///< a group of one keeps its reward

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using S = typename Out::value_type;
    const auto r = rewards[g];
    const auto result = out[g];
    const auto reward = [&](index_t i) {
      const auto x = static_cast<double>(r[i]);
      return x == x ? x : substitute;
    };
    const auto sum = [&](auto&& term) {
      return team.sum_items(r.size(), [&](index_t i) {
        const double x = reward(i);
        return x == x ? term(x) : 0.0;
      });
    };
    const double n = sum([](double) { return 1.0; });
    const bool single = n == 1 && keep_single;
    const double near = n > 0 && !single ? sum([](double x) { return x; }) / n : 0;
    const double rest = n > 0 && !single ? sum([&](double x) { return x - near; }) / n : 0;
    const double squares = sum([&](double x) { return (x - near - rest) * (x - near - rest); });
    const double scale = single ? factor.alone() : factor(n, near + rest, squares);
    team.items(r.size(), [&](index_t i) {
      const double x = reward(i);
      result[i] = static_cast<S>(static_cast<compute_t<S>>(x == x ? (x - near - rest) * scale : 0.0));
    });
  }
};
template <class R, class O>
centred_kernel(R, O, centred_factor, double, bool) -> centred_kernel<R, O>;

template <class B, class Rewards, class Out>
void run_centred(B& on, const Rewards& rewards, const Out& out, const centred_factor& factor, const group_options& options) {
  on.groups(rewards.size(), 8 * rewards.total(),
            centred_kernel{any_groups(rewards), any_groups(out), factor, options.missing.substitute(),
                           options.single == group_of_one::uncentred});
}

}  // namespace infalign::detail
