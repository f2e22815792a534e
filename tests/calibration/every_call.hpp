// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every algorithm of calibration, called once: see support/call_data.hpp.
#pragma once

#include "infalign/calibration/calibrate.hpp"
#include "infalign/calibration/uncertainty.hpp"
#include "infalign/transform/exponential.hpp"
#include "support/call_data.hpp"

namespace infalign::test {

template <class C>
class calibration_calls {
 public:
  using T = typename C::value;

  template <class B>
  void run(B& on) {
    using enum rank_algorithm;
    const auto references = z_.rows(prompts, k);
    const auto rewards = y_.rows(prompts, m);
    calibrate(on, references, rewards, u_[0].rows(prompts, m), {.algorithm = counting});
    calibrate(on, references, rewards, u_[1].rows(prompts, m), {tie_rule::randomized(7), counting});
    calibrate(on, references, rewards, u_[2].rows(prompts, m), {tie_rule::randomized(7), sorting});
    for (const bool sorts : {false, true})
      calibrate(on, z_.ragged(z_offsets_), y_.ragged(y_offsets_), u_[sorts ? 8 : 3].ragged(y_offsets_),
                {tie_rule::below(), sorts ? sorting : counting});
    calibrate_transform(on, references, rewards, exponential(3), u_[4].rows(prompts, m));
    calibrate_weighted(on, references, weights_.rows(prompts, k), rewards, u_[5].rows(prompts, m));
    for (const bool sorts : {false, true})
      calibrate_leave_one_out(on, rewards, u_[sorts ? 9 : 6].rows(prompts, m),
                              {tie_rule::at_or_below(), sorts ? sorting : counting});
    calibration_standard_error(on, u_[0].rows(prompts, m), references, u_[7].rows(prompts, m));
  }
  [[nodiscard]] call_results results() const {
    call_results all;
    for (const auto& u : u_) all.push_back(result_of(u));
    return all;
  }

 private:
  template <class U>
  using array = typename C::template array<U>;
  static constexpr index_t prompts = many_groups, k = 40, m = 11;

  array<T> z_{tied_values<T>(prompts * k, 1, 30)}, y_{tied_values<T>(prompts * m, 2, 30)};
  array<T> weights_{unit_values<T>(prompts * k, 3)};
  array<index_t> z_offsets_{alternating_offsets(prompts, k)}, y_offsets_{alternating_offsets(prompts, m)};
  std::vector<array<T>> u_ = std::vector<array<T>>(10, array<T>(prompts* m));
};

}  // namespace infalign::test
