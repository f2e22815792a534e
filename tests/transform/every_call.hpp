// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every transform applied once: see support/call_data.hpp.
#pragma once

#include "infalign/transform/apply.hpp"
#include "infalign/transform/combinators.hpp"
#include "infalign/transform/exponential.hpp"
#include "infalign/transform/identity.hpp"
#include "infalign/transform/logarithm.hpp"
#include "infalign/transform/normal_quantile.hpp"
#include "infalign/transform/power.hpp"
#include "support/call_data.hpp"

namespace infalign::test {

template <class C>
class transform_calls {
 public:
  using T = typename C::value;

  template <class B>
  void run(B& on) {
    apply(on, identity(), unit_.span(), values_[0].span());
    apply(on, logarithm(), unit_.span(), values_[1].span());
    apply(on, exponential(3), unit_.span(), values_[2].span());
    apply(on, power(2.5), unit_.span(), values_[3].span());
    apply(on, normal_quantile(), unit_.span(), values_[4].span());
    apply(on, shifted(scaled(clamped(logarithm(), 0.01, 0.99), 2), 1), unit_.span(), values_[5].span());
    apply(on, table_, unit_.span(), values_[6].span());
  }
  [[nodiscard]] call_results results() const {
    call_results all;
    for (const auto& v : values_) all.push_back(result_of(v));
    return all;
  }

 private:
  template <class U>
  using array = typename C::template array<U>;
  static constexpr index_t elements = 100'000;

  const typename C::tabulated table_{infalign::tabulated({0, 0.5, 1}, {0, 1, 5})};
  array<T> unit_{unit_values<T>(elements, 4)};
  std::vector<array<T>> values_ = std::vector<array<T>>(7, array<T>(elements));
};

}  // namespace infalign::test
