// SPDX-License-Identifier: Apache-2.0
/// \file
/// The weights of a regularised objective, as types of their own so that they cannot be swapped.
#pragma once

#include "infalign/core/error.hpp"

namespace infalign {

/// The weight `β` of `KL(π‖π₀)`. Errors: `domain_error` unless finite and not negative.
struct kl_weight {
  double value;
  explicit kl_weight(double beta) : value(beta) {
    expects<domain_error>(beta >= 0 && beta - beta == 0, "kl_weight", "beta is ", beta, ", must be finite and not negative");
  }
};

/// The weight `η` of the entropy bonus. Errors: `domain_error` unless finite and not negative.
struct entropy_weight {
  double value;
  explicit entropy_weight(double eta = 0) : value(eta) {
    expects<domain_error>(eta >= 0 && eta - eta == 0, "entropy_weight", "eta is ", eta, ", must be finite and not negative");
  }
};

/// Weights of the terms of the loss. `scale` multiplies everything, for example 1/(number of rollouts) for a mean.
struct objective_weights {
  kl_weight kl{0};
  entropy_weight entropy{0};
  double scale = 1;
};

}  // namespace infalign
