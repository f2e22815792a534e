// SPDX-License-Identifier: Apache-2.0
/// \file
/// Rewind-and-repeat in the theory: what it makes of one policy's CDF.
#pragma once

#include <cmath>
#include <string>

#include "infalign/core/error.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/serving/rewind_and_repeat.hpp"

namespace infalign {

/// What `rewind_and_repeat` makes of a policy's CDF, given the share `b` of the policy's samples that are not above the threshold. It
/// is a distortion of that policy alone: the threshold sits on the reward, so that every policy has a b of its own, and the base has
/// another. With M attempts,
///
///     last:  G(q) = (1 - b^M)/(1 - b)·max(0, q - b) + b^{M-1}·min(q, b)
///     best:  the same above b, q^M below
///
/// Win rates before training follow, without any draw. For the policy of `tilted_density` and a threshold τ on the calibrated reward:
///
/// \code
/// const rewind_and_repeat procedure(0.8, 4);
/// density.win_rate(rewind_distortion(procedure, density.cdf(0.8)), rewind_distortion(procedure, 0.8));
/// \endcode
///
/// That is what `density.win_rate(procedure, procedure)` does, and what `plan` and `frontier` do of a
/// `matchup(procedure)`; `optimal_transform` finds what to train with. Errors: `domain_error` unless b is in [0, 1].
/// Source: derived.
class rewind_distortion {
 public:
  rewind_distortion(const rewind_and_repeat& procedure, double share_below)
      : attempts_(procedure.attempts), best_(procedure.otherwise == unpassed::best), below_(share_below) {
    expects<domain_error>(below_ >= 0 && below_ <= 1, "rewind_distortion", "share_below is ", below_, ", must be in [0, 1]");
    const auto m = static_cast<double>(attempts_);
    unpassed_ = std::pow(below_, m);
    // Σ_{i<M} b^i = (1 - b^M)/(1 - b)
    samples_ = below_ == 1 ? m : below_ == 0 ? 1 : -std::expm1(m * std::log(below_)) / (1 - below_);
  }
  [[nodiscard]] INFALIGN_KEYED double distortion(double q) const {
    if (q > below_) return unpassed_ + samples_ * (q - below_);
    if (best_) return std::pow(q, static_cast<double>(attempts_));
    return attempts_ == 1 ? q : std::pow(below_, static_cast<double>(attempts_ - 1)) * q;
  }
  [[nodiscard]] INFALIGN_KEYED double density(double q) const {
    const auto m = static_cast<double>(attempts_);
    if (q > below_) return samples_;
    return best_ ? m * std::pow(q, m - 1) : attempts_ == 1 ? 1 : std::pow(below_, m - 1);
  }
  /// How many samples are drawn on average: `(1 - b^M)/(1 - b)`.
  [[nodiscard]] double expected_samples() const { return samples_; }
  [[nodiscard]] index_t samples_needed() const { return attempts_; }
  /// `max(-G'')`: the density never falls, so G is convex.
  [[nodiscard]] double steepest_fall() const { return 0; }
  [[nodiscard]] std::string name() const {
    return "rewind_and_repeat:" + std::to_string(attempts_) + (best_ ? ":best" : ":last");
  }

 private:
  index_t attempts_;
  bool best_;
  double below_, unpassed_, samples_;
};

}  // namespace infalign
