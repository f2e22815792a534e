// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "infalign/objective/advantage/group_normalized.hpp"
#include "infalign/objective/advantage/token_mask.hpp"

namespace infalign {

/// What keeps the denominator from 0: the variance plus `epsilon`, or at least `epsilon`.
enum class variance_floor { added, clamped };

/// The defaults are verl's. OpenRLHF has `{.spread = deviation::population, .floor = variance_floor::clamped}`.
struct whitening {
  deviation spread = deviation::bessel;
  variance_floor floor = variance_floor::added;
  double epsilon = 1e-8;  ///< in units of the values squared; positive
};

namespace detail {

/// The mean of all values, in two parts, and what deviations from it are multiplied by.
struct whitening_moments {
  double near;
  double rest;
  double factor;
};

/// Per group the sums of `w`, `w·d` and `w·d²`, where `d` is the distance from the first part of the mean.
template <class Values, class Weights>
struct whitening_sums_kernel {
  Values values;
  Weights weights;
  const whitening_moments* moments;  ///< null in the first pass: that part is 0
  double* sums;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto x = values[g];
    const double near = moments == nullptr ? 0 : moments->near;
    const auto sum = [&](auto&& power) {
      return team.sum_items(x.size(), [&](index_t i) {
        const double w = weights(g, i);
        return w == 0 ? 0 : w * power(static_cast<double>(x[i]) - near);
      });
    };
    const double weight = sum([](double) { return 1.0; });
    const double first = sum([](double d) { return d; });
    const double second = sum([](double d) { return d * d; });
    team.once([&] {
      sums[3 * g] = weight;
      sums[3 * g + 1] = first;
      sums[3 * g + 2] = second;
    });
  }
};
template <class V, class W>
whitening_sums_kernel(V, W, const whitening_moments*, double*) -> whitening_sums_kernel<V, W>;

/// The moments from the sums of all groups: after the first pass the mean, after the second what it lacks, and the variance.
struct whitening_total_kernel {
  const double* sums;
  index_t groups;
  whitening options;
  bool second;
  whitening_moments* moments;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    using std::sqrt;
    const auto total = [&](index_t which) { return team.sum_items(groups, [&](index_t g) { return sums[3 * g + which]; }); };
    const double weight = total(0), first = total(1), squares = total(2);
    const double mean = weight > 0 ? first / weight : 0;
    const double lost = options.spread == deviation::bessel ? 1 : 0;
    const double variance = weight > lost ? (squares - weight * mean * mean) / (weight - lost) : 0;
    const double floor = options.epsilon;
    const double safe = options.floor == variance_floor::added ? variance + floor : variance < floor ? floor : variance;
    team.once([&] {
      *moments = second ? whitening_moments{moments->near, mean, 1 / sqrt(safe)} : whitening_moments{mean, 0, 1};
    });
  }
};

template <class Values, class Weights, class Out>
struct whiten_kernel {
  Values values;
  Weights weights;
  const whitening_moments* moments;
  Out out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using S = typename Out::value_type;
    const auto x = values[g];
    const auto result = out[g];
    const whitening_moments m = *moments;
    team.items(x.size(), [&](index_t i) {
      const bool token = weights(g, i) != 0;
      result[i] =
          static_cast<S>(static_cast<compute_t<S>>(token ? (static_cast<double>(x[i]) - m.near - m.rest) * m.factor : 0.0));
    });
  }
};
template <class V, class W, class O>
whiten_kernel(V, W, const whitening_moments*, O) -> whiten_kernel<V, W, O>;

}  // namespace detail

/// All values of a batch, less their mean, in units of their deviation: `(x - μ)/√(σ² + ε)`, or `(x - μ)/√max(σ², ε)`. The last
/// step of REINFORCE++ and of PPO's advantages.
///
/// `mask` weighs the values: `μ = Σ w·x/Σ w`, and `σ² = Σ w·(x - μ)²/(Σ w - 1)`, or over `Σ w`. Values of weight 0 are not
/// read, and get 0. Lengths as weights whiten the advantage of a response as if each of its tokens had it.
///
/// | method                        | calls                                                                             |
/// |-------------------------------|-----------------------------------------------------------------------------------|
/// | REINFORCE++                   | `discounted_returns` of token rewards, then `whiten`                              |
/// | REINFORCE++ with a baseline   | `mean_centred_advantage` of rewards, then `whiten` with the lengths as `mask`     |
/// | PPO                           | `generalized_advantage`, then `whiten` of the advantages                          |
///
/// Shapes: `values`, `out` and `mask` P groups of the same lengths, rows or ragged; `out` may be `values`. The mean and the
/// variance are those of the whole batch, in two passes and in `double`; values that are all equal, with whole weights, give
/// exactly 0. Cost: seven passes. Errors: `shape_error`; `domain_error` for an ε that is not positive and finite, a weight that is
/// negative or not finite, and, without a mask, for NaN or infinity. Source: Hu et al., REINFORCE++, arXiv 2501.03262; verl's
/// `masked_whiten`. Error, besides the rounding of the result: `(n/2 + 8)·2⁻⁵³·max|x - μ|/√(σ² + ε)` for n values without a mask.
template <backend B, grouped Values, writable_groups Out, class Mask = every_token>
  requires reachable_from<B, Values, Out>
void whiten(B&& on, const Values& values, const Out& out, const whitening& options = {}, const Mask& mask = {}) {
  constexpr const char* function = "whiten";
  const double epsilon = options.epsilon;
  expects<domain_error>(epsilon > 0 && epsilon - epsilon == 0, function, "epsilon is ", epsilon,
                        ", must be positive and finite");
  detail::expects_groups(on, function, "values", values);
  detail::expects_groups(on, function, "out", out);
  detail::expects_same_shape(on, function, "out", out, "values", values);
  detail::expects_apart_or_same(function, "out", out, "values", values);
  const auto weights = detail::check_mask(on, function, mask, "values", values, "out", out);
  if constexpr (std::same_as<Mask, every_token>) detail::expects_finite(on, function, "values", values);
  const index_t groups = values.size();
  if (groups == 0) return;
  auto frame = on.scratch();
  double* const sums = frame.template take<double>(3 * groups);
  auto* const moments = frame.template take<detail::whitening_moments>(1);
  for (const bool second : {false, true}) {
    const detail::whitening_moments* const known = second ? moments : nullptr;
    on.groups(groups, 4 * values.total(), detail::whitening_sums_kernel{any_groups(values), weights, known, sums});
    on.groups(1, 3 * groups, detail::whitening_total_kernel{sums, groups, options, second, moments});
  }
  on.groups(groups, 2 * values.total(), detail::whiten_kernel{any_groups(values), weights, moments, any_groups(out)});
}

}  // namespace infalign
