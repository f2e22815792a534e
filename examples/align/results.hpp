// SPDX-License-Identifier: Apache-2.0
/// \file
/// All that a run of the pipeline found out.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "closed_form.hpp"
#include "matched_kl.hpp"
#include "prediction.hpp"
#include "served_policies.hpp"

namespace align {

/// The KL at which methods are compared.
inline constexpr double matched_kl = 0.7;

struct results {
  std::uint64_t seed = 0;
  std::size_t train_prompts = 0;
  std::size_t held_out_prompts = 0;
  double preference_accuracy = 0;
  std::vector<std::string> methods;
  std::vector<policy_run> runs;
  std::vector<comparison> comparisons;
  std::vector<closed_form_point> closed_form;
  std::vector<limit_point> limit;
  std::vector<prediction> predictions;  ///< one for each of `runs`, in their order
  scorer_error prefix_scorer;
  std::vector<served_result> served;
};

/// The closed-form policy of `method` at a KL that the frontier was computed for.
inline const closed_form_point& closed_form_at(const results& all, const std::string& method, double kl) {
  return *std::min_element(all.closed_form.begin(), all.closed_form.end(), [&](const auto& a, const auto& b) {
    const auto distance = [&](const closed_form_point& p) { return (p.method == method ? 0 : 1e9) + std::abs(p.kl - kl); };
    return distance(a) < distance(b);
  });
}

}  // namespace align
