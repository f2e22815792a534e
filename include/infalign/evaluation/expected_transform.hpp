// SPDX-License-Identifier: Apache-2.0
/// \file
/// The transform of a calibrated reward from finitely many references, without the bias of plugging the empirical quantile in: where Φ
/// is curved, `E[Φ(Ĉ)]` is not `Φ(C)`. For e^{10u} with 100 references it is 12 % too large in the middle.
///
/// \code
/// corrected_transform(on, references, rewards, infalign::unbiased_exponential(10), phi);               // unbiased
/// corrected_transform(on, references, rewards, infalign::jackknife_corrected{my_transform}, phi);      // any Φ: bias of order 1/K²
/// \endcode
#pragma once

#include <cmath>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/calibration/rank_algorithm.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/evaluation/curve.hpp"

namespace infalign {

/// What a reward's references say of it: it beats `wins` of `references`, and ties with `ties`.
struct reference_counts {
  index_t wins;
  index_t ties;
  index_t references;
  [[nodiscard]] INFALIGN_HD double quantile() const {
    return (static_cast<double>(wins) + 0.5 * static_cast<double>(ties)) / static_cast<double>(references);
  }
};

namespace detail {

/// Calls `use(j, E_j)` for j = 0 … degree, where `E_j` is the mean over all j-subsets of the references of the product of their
/// comparisons (1, ½ or 0): the unbiased estimate of `C^j`. With w wins, h ties and generating function `(1+x)^w (1+x/2)^h`, whose
/// differential equation gives a recursion of three terms. Its error is below 1e-13 of the largest `E_j`.
template <class Use>
INFALIGN_HD void unbiased_powers(const reference_counts& of, index_t degree, const Use& use) {
  const auto k = static_cast<double>(of.references), w = static_cast<double>(of.wins), h = static_cast<double>(of.ties);
  double before = 0, now = 1;
  for (index_t j = 0; j <= degree; ++j) {
    use(j, now);
    const auto x = static_cast<double>(j);
    const double next = j + 1 > of.wins + of.ties
                            ? 0
                            : ((w + 0.5 * h - 1.5 * x) * now + 0.5 * (w + h - x + 1) * (x / (k - x + 1)) * before) / (k - x);
    before = now;
    now = next;
  }
}

}  // namespace detail

/// The unbiased estimate of a polynomial `Φ(u) = Σ_j c_j·u^j` of degree up to 16, from at least as many references, ties included.
/// Source: powers as U-statistics, Hoeffding 1948; with ties: derived.
class unbiased_polynomial {
 public:
  static constexpr index_t most = 16;
  /// Coefficients from the constant up. Errors: `shape_error` for none or more than 17, `domain_error` for NaN or infinity.
  explicit unbiased_polynomial(span<const double> coefficients) : degree_(coefficients.size() - 1) {
    constexpr const char* function = "unbiased_polynomial";
    expects<shape_error>(degree_ >= 0 && degree_ <= most, function, "coefficients has ", coefficients.size(),
                         " values, must have 1 to ", most + 1);
    for (index_t j = 0; j <= degree_; ++j) {
      expects<domain_error>(coefficients[j] - coefficients[j] == 0, function, "coefficients[", j, "] is ", coefficients[j],
                            ", must be finite");
      coefficients_[j] = coefficients[j];
    }
  }
  [[nodiscard]] index_t references_needed() const { return degree_; }
  INFALIGN_HD double operator()(const reference_counts& of) const {
    double sum = 0;
    detail::unbiased_powers(of, degree_, [&](index_t j, double power) { sum += coefficients_[j] * power; });
    return sum;
  }

 private:
  index_t degree_;
  double coefficients_[most + 1] = {};
};

/// The estimate of `sign(t)·e^{tu}`, the transform `exponential(t)`, by its power series up to the number K of references: unbiased but
/// for what the series leaves out, less than `|t|^{K+1}·e^{|t|}/(K+1)!`: 1e-9 for t = 5 and K ≥ 32, t = 10 and K ≥ 56. For t < 0 it is
/// estimated from above, `e^t·e^{-t(1-u)}`, so that terms do not cancel. Source: derived.
class unbiased_exponential {
 public:
  /// Errors: `domain_error` for t = 0, NaN, or |t| > 100.
  explicit unbiased_exponential(double t) : t_(t) {
    expects<domain_error>(t != 0 && t >= -100 && t <= 100, "unbiased_exponential", "t is ", t,
                          ", must be in [-100, 100] and not 0");
  }
  [[nodiscard]] static index_t references_needed() { return 1; }
  INFALIGN_HD double operator()(const reference_counts& of) const {
    using std::exp;
    const bool rising = t_ > 0;
    const double t = rising ? t_ : -t_;
    const reference_counts from{rising ? of.wins : of.references - of.wins - of.ties, of.ties, of.references};
    double sum = 0, term = 1;
    const auto last = static_cast<index_t>(4 * t + 40);  // beyond, terms are below 1e-16 of the sum
    detail::unbiased_powers(from, last < of.references ? last : of.references, [&](index_t j, double power) {
      sum += term * power;
      term *= t / static_cast<double>(j + 1);
    });
    return rising ? sum : -exp(t_) * sum;
  }

 private:
  double t_;
};

/// The plug-in `Φ(Ĉ)` of any transform with the jackknife's correction, `K·Φ(Ĉ) - (K-1)·mean_k Φ(Ĉ without k)`: its bias is of order
/// 1/K² where Φ is smooth. Source: Quenouille 1956.
template <class Transform>
struct jackknife_corrected {
  Transform transform;
  [[nodiscard]] static index_t references_needed() { return 2; }
  INFALIGN_HD double operator()(const reference_counts& of) const {
    const auto k = static_cast<double>(of.references);
    const auto at = [&](double wins) { return static_cast<double>(transform(wins / (k - 1))); };
    const auto w = static_cast<double>(of.wins), h = static_cast<double>(of.ties);
    double left_out = 0;
    if (of.wins > 0) left_out += w * at(w - 1 + 0.5 * h);
    if (of.ties > 0) left_out += h * at(w + 0.5 * (h - 1));
    if (w + h < k) left_out += (k - w - h) * at(w + 0.5 * h);
    return k * static_cast<double>(transform(of.quantile())) - (k - 1) * left_out / k;
  }
};
template <class T>
jackknife_corrected(T) -> jackknife_corrected<T>;

/// The plug-in less the second term of its series, `Φ(Ĉ) - ½Φ''(Ĉ)·s²/K`, s² being the variance of the comparisons with Bessel's
/// correction; Φ'' by a difference of `derivative` over about 1/K. Bias of order 1/K² where Φ is smooth; for Φ without a derivative at
/// the ends take the jackknife. Source: the delta method.
template <class Transform>
struct series_corrected {
  Transform transform;
  [[nodiscard]] static index_t references_needed() { return 2; }
  INFALIGN_HD double operator()(const reference_counts& of) const {
    const auto k = static_cast<double>(of.references), w = static_cast<double>(of.wins), h = static_cast<double>(of.ties);
    const double u = of.quantile(), variance = (w + 0.25 * h - k * u * u) / (k - 1);
    const double low = u > 0.5 / k ? u - 0.5 / k : 0, high = u < 1 - 0.5 / k ? u + 0.5 / k : 1;
    const double second =
        (static_cast<double>(transform.derivative(high)) - static_cast<double>(transform.derivative(low))) / (high - low);
    return static_cast<double>(transform(u)) - 0.5 * second * variance / k;
  }
};
template <class T>
series_corrected(T) -> series_corrected<T>;

namespace detail {

template <class Rewards, class References, class Estimator, class Out>
struct corrected_transform_kernel {
  Rewards rewards;
  References references;
  const value_ranks* ranks;
  Estimator estimator;
  Out out;
  Out errors;
  bool with_errors;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto to = out[g];
    const index_t k = references[g].size();
    const value_ranks* const own = ranks + rewards.offset(g);
    team.items(to.size(), [&](index_t i) {
      const reference_counts all{own[i].below, own[i].at_or_below - own[i].below, k};
      to[i] = static_cast<typename Out::value_type>(estimator(all));
      if (with_errors) errors[g][i] = static_cast<typename Out::value_type>(left_out_error(all));
    });
  }

 private:
  /// `√((K-1)/K·Σ(θ_{-k} - mean)²)`, of which at most three differ.
  INFALIGN_HD double left_out_error(const reference_counts& of) const {
    using std::sqrt;
    const index_t weights[3] = {of.wins, of.ties, of.references - of.wins - of.ties};
    double values[3] = {}, mean = 0, squares = 0;
    for (int i = 0; i < 3; ++i) {
      if (weights[i] == 0) continue;
      values[i] = estimator(reference_counts{of.wins - (i == 0 ? 1 : 0), of.ties - (i == 1 ? 1 : 0), of.references - 1});
      mean += static_cast<double>(weights[i]) * values[i];
    }
    const auto k = static_cast<double>(of.references);
    mean /= k;
    for (int i = 0; i < 3; ++i) squares += static_cast<double>(weights[i]) * (values[i] - mean) * (values[i] - mean);
    return sqrt((k - 1) / k * squares);
  }
};

template <class B, class References, class Rewards, class Estimator, class Out>
void run_corrected_transform(B& on, const References& references, const Rewards& rewards, const Estimator& estimator,
                             const Out& out, const Out* errors) {
  constexpr const char* function = "corrected_transform";
  expects_groups(on, function, "references", references);
  expects_groups(on, function, "rewards", rewards);
  expects_groups(on, function, "out", out);
  expects_same_count(function, "references", references, "rewards", rewards);
  expects_same_shape(on, function, "out", out, "rewards", rewards);
  expects_apart(function, "out", out, "references", references);
  expects_apart(function, "out", out, "rewards", rewards);
  const index_t needed = estimator.references_needed() + (errors != nullptr ? 1 : 0);
  expects_group_sizes(on, function, "references", references, needed > 1 ? needed : 1, "fewer than the ", needed,
                      " that the estimate needs");
  if (errors != nullptr) {
    expects_groups(on, function, "errors", *errors);
    expects_same_shape(on, function, "errors", *errors, "rewards", rewards);
    expects_apart(function, "errors", *errors, "references", references);
    expects_apart(function, "errors", *errors, "rewards", rewards);
    expects_apart(function, "errors", *errors, "out", out);
  }
  expects_finite(on, function, "references", references);
  expects_finite(on, function, "rewards", rewards);
  if (rewards.empty() || rewards.total() == 0) return;
  auto frame = on.scratch();
  const value_ranks* const ranks = ranks_of(on, frame, rewards, references, rank_algorithm::automatic);
  const any_groups y(rewards);
  const any_groups z(references);
  const any_groups to(out);
  using kernel = corrected_transform_kernel<std::remove_const_t<decltype(y)>, std::remove_const_t<decltype(z)>, Estimator,
                                            std::remove_const_t<decltype(to)>>;
  on.groups(rewards.size(), 64 * rewards.total(),
            kernel{y, z, ranks, estimator, to, errors == nullptr ? to : any_groups(*errors), errors != nullptr});
}

}  // namespace detail

/// `out[p][i]` estimates `Φ(C)` of reward i of prompt p, C being its quantile under the base policy, from the K references of the prompt,
/// by `estimator`: `unbiased_polynomial`, `unbiased_exponential`, `jackknife_corrected` or `series_corrected`. The mean over rollouts then
/// estimates `E[Φ(C)]` without the bias of `calibrate_transform`. The estimate of a single reward varies more than the plug-in, and may
/// leave the range of Φ.
///
/// - Shapes: `references` and `rewards` P groups (rows or ragged), `out` like `rewards`.
/// - Ties count ½, as `tie_rule::half` does. NaN and infinities are an error.
/// - Cost: ranks as in `calibrate`, then for each reward the degree of the polynomial, `min(K, 4|t| + 40)` for the exponential, or four
///   calls of the transform.
/// - Errors: `shape_error` (sizes, too few references, `out` overlapping the input), `domain_error`, before anything is written.
template <backend B, grouped References, grouped Rewards, class Estimator, writable_groups Out>
  requires reachable_from<B, References, Rewards, Out>
void corrected_transform(B&& on, const References& references, const Rewards& rewards, const Estimator& estimator,
                         const Out& out) {
  detail::run_corrected_transform(on, references, rewards, estimator, out, static_cast<const Out*>(nullptr));
}

/// The same, and in `errors` the standard error of each by its references, from the jackknife; it needs one reference more, and three
/// evaluations more a reward. The error of a mean over prompts is `summarize`'s, and holds this one.
template <backend B, grouped References, grouped Rewards, class Estimator, writable_groups Out>
  requires reachable_from<B, References, Rewards, Out>
void corrected_transform(B&& on, const References& references, const Rewards& rewards, const Estimator& estimator,
                         const Out& out, const Out& errors) {
  detail::run_corrected_transform(on, references, rewards, estimator, out, &errors);
}

}  // namespace infalign
