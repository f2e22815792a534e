// SPDX-License-Identifier: Apache-2.0
/// \file
/// One call of `policy_loss`: its arguments checked and brought into the library's types, whichever framework they come from.
#pragma once

#include <vector>

#include "kernels.hpp"
#include "losses.hpp"
#include "tensors.hpp"

namespace infalign_python {

/// Settings of a call. Numbers that are NaN are not given: the loss has its own.
struct policy_loss_settings {
  std::string_view loss;
  double epsilon_low;
  double epsilon_high;
  double kl;
  std::string_view kl_estimator;
  double entropy;
  double temperature;
  double soft_cap;
  std::string_view aggregation;
  double divisor;
};

/// Those without a dimension are not given. `statistics` has four values a token, `total` is one number.
struct policy_loss_tensors {
  tensor logits, tokens, advantages, mask, old_log_prob, base_logits, base_log_prob, gradient, statistics, total;
};

class policy_loss_call {
 public:
  /// Errors: `ValueError`, `TypeError`; nothing is written then.
  policy_loss_call(const policy_loss_tensors& given, const policy_loss_settings& from, bool wants_entropy);
  policy_loss_call(const policy_loss_call&) = delete;
  policy_loss_call& operator=(const policy_loss_call&) = delete;
  /// Writes gradient, statistics and total. Needs no GIL.
  void run(const ia::executor& by);

 private:
  void choose(const policy_loss_settings& from);
  void choose_kl(const policy_loss_settings& from);
  void weigh(const policy_loss_settings& from);

  tensor total_;
  batch batch_;
  const named_loss& loss_;
  policy_loss_request request_{};
  std::vector<double> scratch_;
};

}  // namespace infalign_python
