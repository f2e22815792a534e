// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <type_traits>
#include <utility>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"
#include "infalign/serving/rank_rules.hpp"
#include "infalign/serving/serve.hpp"

namespace infalign {

/// A procedure that draws one sample after the other and stops at the first whose score reaches a threshold: `score >= threshold`; under
/// `worst_of`, whose attempts look for a low score, `score <= threshold`. Best-of-N jailbreaking of a model whose answers a judge
/// scores as 1 (harmless) or 0 is `stopped_at(worst_of(10'000), 0)`. What has the threshold is what is served: the same as without the
/// stop if nothing can be better, as there.
///
/// With a threshold for each prompt, best-of-N stops when one more sample is worth less than its price: see `reservation_values`.
///
/// - Procedures: `best_of`, `worst_of`, `best_of_poisson`, `best_of_random`.
/// - Shapes: one threshold, or one for each prompt, in memory of the caller's.
/// - Errors: `domain_error` for a threshold that is NaN (infinite: it always or never stops); `shape_error`, in `serve`, unless there are
///   as many as prompts.
/// - Source: best-of-N jailbreaking: Hughes et al., arXiv 2412.03556.
template <class Procedure>
class stopped_at {
 public:
  stopped_at(Procedure procedure, double threshold) : procedure_(std::move(procedure)), one_(threshold) {
    expects<domain_error>(one_ == one_, "stopped_at", "threshold is ", one_, ", must not be NaN");
  }
  stopped_at(Procedure procedure, span<const double> thresholds)
      : procedure_(std::move(procedure)), one_(0), each_(true), thresholds_(thresholds) {
    for (index_t p = 0; p < thresholds_.size(); ++p)
      expects<domain_error>(thresholds_[p] == thresholds_[p], "stopped_at", "thresholds[", p, "] is ", thresholds_[p],
                            ", must not be NaN");
  }
  [[nodiscard]] const Procedure& procedure() const { return procedure_; }
  [[nodiscard]] double threshold(index_t prompt) const { return each_ ? thresholds_[prompt] : one_; }
  /// Errors: `shape_error` unless there is one threshold, or one for each prompt.
  void expects_prompts(index_t prompts) const {
    expects<shape_error>(!each_ || thresholds_.size() == prompts, "serve", "thresholds of stopped_at has ", thresholds_.size(),
                         " values for ", prompts, " prompts");
  }

 private:
  Procedure procedure_;
  double one_;
  bool each_ = false;
  span<const double> thresholds_;
};
template <class Procedure, class Threshold>
stopped_at(Procedure, const Threshold&) -> stopped_at<Procedure>;

namespace detail {

template <class Procedure, class Response>
class INFALIGN_KEYED stopping_rule : public serving_rule<Procedure, Response> {
  static_assert(!std::is_base_of_v<rank_rule<Response>, serving_rule<Procedure, Response>>,
                "order_statistic and top_of look at all samples: they cannot stop early");

 public:
  static constexpr bool stops_early = true;
  stopping_rule(const stopped_at<Procedure>& stopped, index_t prompt, const prompt_random& random)
      : serving_rule<Procedure, Response>(stopped.procedure(), prompt, random), threshold_(stopped.threshold(prompt)) {}
  bool take(scored_response<Response>&& next) {
    const bool reached = std::is_same_v<Procedure, worst_of> ? next.score <= threshold_ : next.score >= threshold_;
    return serving_rule<Procedure, Response>::take(std::move(next)) || reached;
  }

 private:
  double threshold_;
};

}  // namespace detail

template <class Procedure, class Response>
struct serving_rule<stopped_at<Procedure>, Response> : detail::stopping_rule<Procedure, Response> {
  using detail::stopping_rule<Procedure, Response>::stopping_rule;
};

}  // namespace infalign
