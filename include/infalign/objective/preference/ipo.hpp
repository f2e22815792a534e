// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/weights.hpp"
#include "infalign/objective/preference/preference_loss.hpp"

namespace infalign {

/// Of what a margin is the difference.
enum class log_ratio_of : unsigned char {
  response,  ///< log-ratios of responses: OpenRLHF, BoNBoN
  token,     ///< their means over the tokens of either response: TRL
};

/// IPO: `loss = (h - 1/(2β))²`. The two conventions of trainers differ by orders of magnitude for long responses. A response without
/// tokens has the log-ratio 0. Source: Azar et al., arXiv 2310.12036.
struct ipo {
  static constexpr bool needs_base_log_prob = true;
  double target;  ///< `1/(2β)`
  log_ratio_of of;

  /// Errors: `domain_error` unless β is positive.
  explicit ipo(kl_weight weight, log_ratio_of what = log_ratio_of::response)
      : target(0.5 / detail::positive_beta("ipo", weight.value)), of(what) {}
  INFALIGN_HD pair_value operator()(const response_row& chosen, const response_row& rejected) const {
    const double c = share(chosen), r = share(rejected);
    const margin_value v = detail::squared_distance(detail::capped_sum(c * chosen.log_ratio, -r * rejected.log_ratio), target);
    return {v.value, c * v.by_margin, -(r * v.by_margin)};
  }

 private:
  INFALIGN_HD double share(const response_row& y) const { return of == log_ratio_of::token && y.length > 1 ? 1 / y.length : 1; }
};

}  // namespace infalign
