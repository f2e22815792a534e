// SPDX-License-Identifier: Apache-2.0
/// \file
/// The error of a calibrated reward from K references, and the number of references for a wanted error.
#pragma once

#include <cmath>
#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"

namespace infalign {

/// Standard error of a calibrated reward `u` from K = `references` independent references, an upper bound where there are ties:
/// `√(u(1-u)/K + 1/(4K²)) / (1 + 1/K)`. That is half the width of Wilson's interval of one standard error to either side. In the
/// middle it differs from `√(u(1-u)/K)` by a relative `1/(2K)`. At `u = 0` and `u = 1`, where that formula has no error at all, it
/// is `1/(2(K+1))`.
/// Source: Wilson, Journal of the American Statistical Association 22 (1927). Errors: `domain_error` for `u` outside [0, 1] or
/// `references < 1`.
INFALIGN_KEYED inline double calibration_standard_error(double u, index_t references) {
  constexpr const char* function = "calibration_standard_error";
  expects<domain_error>(u >= 0 && u <= 1, function, "u is ", u, ", must be in [0, 1]");
  expects<domain_error>(references >= 1, function, "references is ", references, ", must be at least 1");
  const auto k = static_cast<double>(references);
  return std::sqrt(k * u * (1 - u) + 0.25) / (k + 1);
}

namespace detail {
template <class Calibrated, class References, class Out>
struct standard_error_kernel {
  Calibrated calibrated;
  References references;
  Out out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using T = compute_t<typename Calibrated::value_type>;
    using V = typename Team::template vec<T>;
    using std::sqrt;
    const auto u = calibrated[g];
    const auto result = out[g];
    const auto k = static_cast<double>(references[g].size());
    const V spread = constant<V>(k / (k + 1) / (k + 1)), least = constant<V>(0.25 / (k + 1) / (k + 1));
    team.template loop<T>(u.size(), [&](auto at, auto) {
      const V value = at.load(u.data());
      at.store(result.data(), sqrt(value * (V(1) - value) * spread + least));
    });
  }
};
template <class C, class R, class O>
standard_error_kernel(C, R, O) -> standard_error_kernel<C, R, O>;
}  // namespace detail

/// The standard error of every calibrated reward, as above, with the K of each prompt taken from `references`.
/// Shapes: `calibrated` and `out` alike, `references` as many groups; `out` may be `calibrated`. Errors: `shape_error`.
template <backend B, grouped Calibrated, grouped References, writable_groups Out>
  requires reachable_from<B, Calibrated, References, Out>
void calibration_standard_error(B&& on, const Calibrated& calibrated, const References& references, const Out& out) {
  constexpr const char* function = "calibration_standard_error";
  detail::expects_groups(on, function, "calibrated", calibrated);
  detail::expects_groups(on, function, "references", references);
  detail::expects_groups(on, function, "out", out);
  detail::expects_same_count(function, "calibrated", calibrated, "references", references);
  detail::expects_same_shape(on, function, "out", out, "calibrated", calibrated);
  detail::expects_group_sizes(on, function, "references", references, 1, "a prompt needs at least one reference reward");
  detail::expects_apart_or_same(function, "out", out, "calibrated", calibrated);
  on.groups(calibrated.size(), calibrated.total(),
            detail::standard_error_kernel{any_groups(calibrated), any_groups(references), any_groups(out)});
}

/// Half-width `ε` of the band around an empirical CDF of `references` draws that holds the whole true CDF with probability
/// at least `confidence`: `ε = √(log(2/(1-confidence)) / (2K))`.
/// Source: Dvoretzky, Kiefer, Wolfowitz 1956 with the constant of Massart, Annals of Probability 18 (1990). Holds with ties.
INFALIGN_KEYED inline double dkw_band(index_t references, double confidence) {
  constexpr const char* function = "dkw_band";
  expects<domain_error>(references >= 1, function, "references is ", references, ", must be at least 1");
  expects<domain_error>(confidence > 0 && confidence < 1, function, "confidence is ", confidence, ", must be in (0, 1)");
  return std::sqrt(std::log(2 / (1 - confidence)) / (2 * static_cast<double>(references)));
}

namespace detail {
/// The smallest n with `error_of(n) <= error`, for a decreasing function. `guess` is right up to rounding.
template <class ErrorOf>
INFALIGN_KEYED index_t smallest_count(std::string_view function, double guess, double error, const ErrorOf& error_of) {
  expects<domain_error>(guess < 0x1.0p53, function, "error is ", error, ", which takes more than 2^53 references");
  auto count = static_cast<index_t>(std::ceil(guess));
  if (count < 1) count = 1;
  while (count > 1 && error_of(count - 1) <= error) --count;
  while (error_of(count) > error) ++count;
  return count;
}
}  // namespace detail

/// The smallest number of references for which `dkw_band(K, confidence) <= error`.
INFALIGN_KEYED inline index_t references_for_band(double error, double confidence) {
  constexpr const char* function = "references_for_band";
  expects<domain_error>(error > 0 && error <= 1, function, "error is ", error, ", must be in (0, 1]");
  expects<domain_error>(confidence > 0 && confidence < 1, function, "confidence is ", confidence, ", must be in (0, 1)");
  return detail::smallest_count(function, std::log(2 / (1 - confidence)) / (2 * error * error), error,
                                [&](index_t n) { return dkw_band(n, confidence); });
}

/// The smallest number of references for which a single calibrated reward has at most the standard error `error`, wherever in
/// [0, 1] it lies: `⌈1/(4·error²)⌉ - 1`.
INFALIGN_KEYED inline index_t references_for_standard_error(double error) {
  constexpr const char* function = "references_for_standard_error";
  expects<domain_error>(error > 0 && error <= 0.5, function, "error is ", error, ", must be in (0, 0.5]");
  return detail::smallest_count(function, 0.25 / (error * error) - 1, error,
                                [](index_t n) { return calibration_standard_error(0.5, n); });
}

/// The number of unweighted references that are worth as much as these weighted ones: `(Σw)² / Σw²` (Kish 1965). Use it as the
/// K of the functions above after `calibrate_weighted`. Errors: `domain_error` for a weight that is negative or not finite, or
/// if all are 0.
INFALIGN_KEYED inline double effective_references(span<const double> weights) {
  double largest = 0;
  for (index_t i = 0; i < weights.size(); ++i) {
    expects<domain_error>(weights[i] >= 0 && std::isfinite(weights[i]), "effective_references", "weights[", i, "] is ",
                          weights[i], ", must be finite and not negative");
    largest = weights[i] > largest ? weights[i] : largest;
  }
  expects<domain_error>(largest > 0, "effective_references", "sum of weights is 0, must be positive");
  double sum = 0;
  double squares = 0;
  for (const double w : weights) {
    sum += w / largest;
    squares += (w / largest) * (w / largest);
  }
  return sum * sum / squares;
}

}  // namespace infalign
