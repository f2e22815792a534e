// SPDX-License-Identifier: Apache-2.0
// The theory tells a user which member a transform lacks.
// expects: a transform needs a const name() that returns a string
#include <infalign/theory.hpp>
#include <string>

struct my_transform {
  static constexpr const char* citation = "mine";
  template <class V>
  V operator()(V u) const {
    return u;
  }
  template <class V>
  V derivative(V) const {
    return V(1);
  }
#ifndef INFALIGN_MUST_FAIL
  [[nodiscard]] std::string name() const { return "mine"; }
#endif
};

double divergence(double beta) {
  return infalign::tilted_density(my_transform{}, infalign::kl_weight(beta)).kl();
}
