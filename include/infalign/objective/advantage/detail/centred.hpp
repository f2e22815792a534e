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

/// In lanes of `double`. The mean is that of the rewards and, in a second pass, of what remains: so it is right to the spacing
/// of the rewards, however large they are beside their spread, and rewards that are all equal have deviations of exactly 0.
template <class Rewards, class Out>
struct centred_kernel {
  Rewards rewards;
  Out out;
  centred_factor factor;
  double substitute;  ///< for NaN; NaN where those are left out
  bool keep_single;   ///< a group of one keeps its reward

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using V = typename Team::template vec<double>;
    const auto r = rewards[g];
    const auto result = out[g];
    // What is not there, behind the end or without a substitute, is not finite.
    const auto load = [&](auto at) {
      const V x = at.load(r.data(), infinity<double>);
      return select(x == x, x, V(substitute));
    };
    V count(0), sum(0);
    team.template loop<double>(r.size(), [&](auto at, auto) {
      const V x = load(at);
      const auto there = x - x == V(0);
      count = at.add_where(count, there, V(1));
      sum = at.add_where(sum, there, x);
    });
    const double n = team.sum(count);
    const double total = team.sum(sum);
    const bool centred = n > (keep_single ? 1 : 0);
    const double near = centred ? total / n : 0;
    V rests(0), squares(0);
    team.template loop<double>(r.size(), [&](auto at, auto) {
      const V x = load(at);
      const V d = x - V(near);
      rests = at.add_where(rests, x - x == V(0), d);
      squares = at.add_where(squares, x - x == V(0), d * d);
    });
    const double rest = centred ? team.sum(rests) / n : 0;
    const double around_near = team.sum(squares);
    const double spread = around_near - n * rest * rest;
    const double scale = centred || n == 0 ? factor(n, near + rest, spread > 0 ? spread : 0) : factor.alone();
    team.template loop<double>(r.size(), [&](auto at, auto) {
      const V x = load(at);
      at.store(result.data(), select(x - x == V(0), (x - V(near) - V(rest)) * V(scale), V(0)));
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
