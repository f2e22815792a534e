// SPDX-License-Identifier: Apache-2.0
/// \file
/// Many prompts with few samples each, or few prompts with many samples? The answer follows from two variances, which a small
/// pilot experiment estimates: how much win rates differ between prompts, and how much a prompt's estimate varies by sampling.
///
/// \code
/// // Pilot: m samples of policy and base for each prompt, in two halves.
/// procedure_win_rate(on, rows(y, prompts, m / 2, m), rows(z, prompts, m / 2, m), best_of(4), first);
/// procedure_win_rate(on, rows(y + m / 2, prompts, m / 2, m), rows(z + m / 2, prompts, m / 2, m), best_of(4), second);
/// const variance_components seen = estimate_variance_components(first, second, m / 2);
/// const sampling_plan plan = plan_sampling(0.005, seen, {.prompt = 0, .sample = 2}, {.least = 4, .most = 256});
/// \endcode
#pragma once

#include <cmath>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"
#include "infalign/theory/sample_size.hpp"

namespace infalign {

/// The variance of a prompt's estimate from m samples of either policy is `between + within/m`. The first part is how prompts
/// differ, which more samples do not reduce; the second is the error of sampling.
struct variance_components {
  double between = 0;
  double within = 0;

  [[nodiscard]] double of_prompt(index_t samples) const { return between + within / static_cast<double>(samples); }
};

/// Variance components from a pilot. The pilot gives two independent estimates of the win rate of every prompt, each from
/// `samples` samples of its own. `between` is their covariance over prompts, or 0 if that is negative. `within` is `samples`
/// times half their mean squared difference. Both are unbiased but for that clipping.
///
/// Under best-of-N the sampling variance is not exactly proportional to 1/m: `m·variance` falls with m (Hoeffding, Annals of
/// Mathematical Statistics 19 (1948), theorem 5.2). For more samples than the pilot's `samples`, the components therefore
/// predict too large an error, which is safe; for fewer, too small a one. So choose the pilot's `samples` close to the final m.
///
/// Differences between two policies on the same prompts may be given instead of win rates.
/// Errors: `shape_error` for sequences that differ in size or have fewer than 2 values; `domain_error` for NaN or infinity, or
/// `samples < 1`.
inline variance_components estimate_variance_components(span<const double> first, span<const double> second, index_t samples) {
  constexpr const char* function = "estimate_variance_components";
  expects<shape_error>(first.size() == second.size(), function, "second has ", second.size(), " values, but first has ",
                       first.size());
  expects<shape_error>(first.size() >= 2, function, "first has ", first.size(), " values, at least two prompts are needed");
  expects<domain_error>(samples >= 1, function, "samples is ", samples, ", must be at least 1");
  const auto prompts = static_cast<double>(first.size());
  double first_mean = 0, second_mean = 0;
  for (index_t p = 0; p < first.size(); ++p) {
    expects<domain_error>(std::isfinite(first[p]), function, "first[", p, "] is ", first[p], ", must be finite");
    expects<domain_error>(std::isfinite(second[p]), function, "second[", p, "] is ", second[p], ", must be finite");
    first_mean += first[p] / prompts;
    second_mean += second[p] / prompts;
  }
  double covariance = 0, differences = 0;
  for (index_t p = 0; p < first.size(); ++p) {
    covariance += (first[p] - first_mean) * (second[p] - second_mean) / (prompts - 1);
    differences += (first[p] - second[p]) * (first[p] - second[p]) / prompts;
  }
  return {covariance > 0 ? covariance : 0, static_cast<double>(samples) * differences / 2};
}

/// Standard error of the mean over `prompts` prompts with `samples` samples each: `√((between + within/m)/P)`.
inline double standard_error_of(const variance_components& components, index_t prompts, index_t samples) {
  constexpr const char* function = "standard_error_of";
  expects<domain_error>(prompts >= 1, function, "prompts is ", prompts, ", must be at least 1");
  expects<domain_error>(samples >= 1, function, "samples is ", samples, ", must be at least 1");
  return std::sqrt(components.of_prompt(samples) / static_cast<double>(prompts));
}

/// What a prompt costs, and what each of its samples costs, in any unit. If both policies are sampled, a sample is one of each.
struct sampling_costs {
  double prompt = 0;
  double sample = 1;
};

/// How many samples of a prompt may be drawn. A procedure that draws N needs at least N.
struct samples_range {
  index_t least = 1;
  index_t most = 4096;
};

struct sampling_plan {
  index_t prompts = 0;
  index_t samples = 0;  ///< per prompt, of either policy
  double cost = 0;
};

/// The cheapest numbers of prompts and samples whose mean has a standard error of at most `error`. For m samples a prompt it
/// takes `P(m) = ⌈(between + within/m)/error²⌉` prompts; every m in `range` that can be cheapest is tried, and of equal costs
/// the smallest m is taken. Without rounding, the best m is `√(within/between · prompt cost/sample cost)`. If prompts are free,
/// that is as few samples a prompt as possible.
/// Source: Cochran, Sampling Techniques (1977), section 10.6. Errors: `domain_error` for components or costs that are negative
/// or not finite, a sample that costs nothing, an error that is not positive, an empty range, or one that ends above 2^24.
inline sampling_plan plan_sampling(double error, const variance_components& components, const sampling_costs& costs = {},
                                   const samples_range& range = {}) {
  constexpr const char* function = "plan_sampling";
  const auto expects_not_negative = [&](const char* name, double value) {
    expects<domain_error>(value >= 0 && value < infinity<double>, function, name, " is ", value,
                          ", must be finite and not negative");
  };
  detail::expects_positive(function, "error", error);
  expects_not_negative("components.between", components.between);
  expects_not_negative("components.within", components.within);
  expects_not_negative("costs.prompt", costs.prompt);
  detail::expects_positive(function, "costs.sample", costs.sample);
  expects<domain_error>(range.least >= 1, function, "range.least is ", range.least, ", must be at least 1");
  expects<domain_error>(range.most >= range.least, function, "range.most is ", range.most, ", less than range.least, ",
                        range.least);
  constexpr index_t most = index_t{1} << 24;
  expects<domain_error>(range.most <= most, function, "range.most is ", range.most, ", must be at most ", most);
  sampling_plan best;
  for (index_t m = range.least; m <= range.most; ++m) {
    const double each = costs.prompt + static_cast<double>(m) * costs.sample;
    // However many samples it has, a plan takes at least max(1, between/error²) prompts, and a prompt costs more as m grows.
    const double fewest = components.between / (error * error);
    if (best.prompts > 0 && each * (fewest > 1 ? fewest : 1) >= best.cost) break;
    const index_t prompts = prompts_for_standard_error(error, std::sqrt(components.of_prompt(m)));
    const double cost = static_cast<double>(prompts) * each;
    if (best.prompts == 0 || cost < best.cost) best = {prompts, m, cost};
  }
  return best;
}

}  // namespace infalign
