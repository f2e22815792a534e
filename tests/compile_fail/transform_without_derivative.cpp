// SPDX-License-Identifier: Apache-2.0
// A transform of a user that lacks a required member is told which.
// expects: a transform needs a const derivative(u) that returns a number
#include <infalign/infalign.hpp>
#include <string>

struct my_transform {
  static constexpr const char* citation = "mine";
  template <class V>
  V operator()(V u) const {
    return u;
  }
#ifndef INFALIGN_MUST_FAIL
  template <class V>
  V derivative(V) const {
    return V(1);
  }
#endif
  [[nodiscard]] std::string name() const { return "mine"; }
};

void transform(infalign::span<const float> u, infalign::span<float> out) {
  infalign::simd on;
  infalign::apply(on, my_transform{}, u, out);
}
