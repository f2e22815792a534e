// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/names.hpp"
#include "infalign/serving/serve.hpp"

namespace infalign {

/// What is served where no sample passes.
enum class unpassed { last, best };

/// Rewind-and-repeat: draw until a score is above the threshold τ, at most M times, and serve that sample; if none is, the last one, or
/// the best. With `s = 1 - F(τ)`, the share of a policy's samples that pass, and f its density, the density of what is served is
///
///     last:  f(v)·((1 - s)^{M-1} + 1{v > τ}·(1 - (1 - s)^{M-1})/s)
///     best:  f(v)·M·F(v)^{M-1} for v ≤ τ,  f(v)·(1 - (1 - s)^M)/s above
///
/// and `(1 - (1 - s)^M)/s` samples are drawn on average. Errors: `domain_error` for M < 1, or a threshold that is NaN.
/// Source: rejection sampling with a last attempt; the densities are derived. Win rates: `rewind_distortion` (theory/).
struct rewind_and_repeat {
  static constexpr name_entry naming{"rewind_and_repeat:TAU:M", "rewind_and_repeat:0.8:4",
                                     "the first of M with u > TAU, else the last (with :best, the best)"};

  double threshold;
  index_t attempts;
  unpassed otherwise;

  rewind_and_repeat(double score_to_pass, index_t most_attempts, unpassed served_otherwise = unpassed::last)
      : threshold(score_to_pass), attempts(most_attempts), otherwise(served_otherwise) {
    expects<domain_error>(threshold == threshold, "rewind_and_repeat", "threshold is ", threshold, ", must not be NaN");
    expects<domain_error>(attempts >= 1, "rewind_and_repeat", "attempts is ", attempts, ", must be at least 1");
  }
  [[nodiscard]] index_t samples_needed() const { return attempts; }
  [[nodiscard]] INFALIGN_KEYED std::string name() const {
    return "rewind_and_repeat:" + detail::format_parameter(threshold) + ":" + std::to_string(attempts) +
           (otherwise == unpassed::best ? ":best" : "");
  }
  static rewind_and_repeat read(detail::parameter_reader& in) {
    const double threshold = in.real("TAU");
    const index_t attempts = in.whole("M");
    if (in.finished()) return {threshold, attempts};
    const std::string_view served = in.rest("what is served otherwise");
    if (served != "last" && served != "best")
      in.fail("what is served otherwise is '", detail::shortened(served), "', must be last or best");
    return {threshold, attempts, served == "best" ? unpassed::best : unpassed::last};
  }
};

namespace detail {

template <class Response>
class INFALIGN_KEYED rewinding_rule {
 public:
  static constexpr bool stops_early = true;
  rewinding_rule(const rewind_and_repeat& procedure, index_t, const prompt_random&) : procedure_(procedure) {}
  [[nodiscard]] index_t most() const { return procedure_.attempts; }
  bool take(scored_response<Response>&& next) {
    const bool passes = next.score > procedure_.threshold;
    // One that passes is better than all before.
    if (!kept_ || procedure_.otherwise == unpassed::last || next.score > kept_->score) kept_.emplace(std::move(next));
    return passes;
  }
  scored_response<Response> choose() { return std::move(*kept_); }

 private:
  rewind_and_repeat procedure_;
  std::optional<scored_response<Response>> kept_;
};

}  // namespace detail

template <class Response>
struct serving_rule<rewind_and_repeat, Response> : detail::rewinding_rule<Response> {
  using detail::rewinding_rule<Response>::rewinding_rule;
};

}  // namespace infalign
