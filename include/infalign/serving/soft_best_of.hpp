// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/names.hpp"
#include "infalign/serving/serve.hpp"

namespace infalign {

/// Soft best-of-N: of N samples with rewards `v_i`, sample i is served with probability `e^{v_i/λ}/Σ_j e^{v_j/λ}`. λ → 0 is best-of-N,
/// λ → ∞ a plain sample. It is no distortion of the policy's CDF, as rewards count and not their ranks alone. What it makes of a
/// policy is `soft_distortion` (theory/soft_distortion.hpp); what it is worth on samples in hand is `soft_best_of_curve`.
///
/// One sample is kept: the one with the largest `v_i/λ` plus a Gumbel variable, which has just that probability.
/// Errors: `domain_error` for N < 1, or a λ that is not positive and finite. Source: Verdun et al., arXiv 2505.03156.
struct soft_best_of {
  static constexpr name_entry naming{"soft_best_of:N:LAMBDA", "soft_best_of:4:0.1", "one of N by softmax(u/LAMBDA)"};

  index_t n;
  double lambda;

  soft_best_of(index_t samples, double temperature) : n(samples), lambda(temperature) {
    expects<domain_error>(samples >= 1, "soft_best_of", "N is ", samples, ", must be at least 1");
    expects<domain_error>(lambda > 0 && !not_finite(lambda), "soft_best_of", "lambda is ", lambda,
                          ", must be positive and finite");
  }
  [[nodiscard]] index_t samples_needed() const { return n; }
  [[nodiscard]] INFALIGN_KEYED std::string name() const {
    return "soft_best_of:" + std::to_string(n) + ":" + detail::format_parameter(lambda);
  }
  static soft_best_of read(detail::parameter_reader& in) {
    const index_t n = in.whole("N");
    return {n, in.real("LAMBDA")};
  }
};

namespace detail {

template <class Response>
class INFALIGN_KEYED softmax_rule {
 public:
  static constexpr bool stops_early = false;
  softmax_rule(const soft_best_of& procedure, index_t, const prompt_random& random) : procedure_(procedure), random_(random) {}
  [[nodiscard]] index_t most() const { return procedure_.n; }
  bool take(scored_response<Response>&& next) {
    const double noise = random_.gumbel(random_use::noise, next.attempt);
    // Differences first: v/λ alone may be infinite, where λ is small.
    if (kept_ && !((next.score - kept_->score) / procedure_.lambda + (noise - noise_) > 0)) return false;
    kept_.emplace(std::move(next));
    noise_ = noise;
    return false;
  }
  scored_response<Response> choose() { return std::move(*kept_); }

 private:
  soft_best_of procedure_;
  prompt_random random_;
  std::optional<scored_response<Response>> kept_;
  double noise_ = 0;
};

}  // namespace detail

template <class Response>
struct serving_rule<soft_best_of, Response> : detail::softmax_rule<Response> {
  using detail::softmax_rule<Response>::softmax_rule;
};

}  // namespace infalign
