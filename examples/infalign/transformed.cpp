// SPDX-License-Identifier: Apache-2.0
#include "transformed.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>

#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/expected_transform.hpp"
#include "infalign/evaluation/transform_estimators.hpp"

namespace command {

namespace {

using infalign::index_t;

/// `use(estimator)` with the estimator of the least bias that is known for the transform.
template <class Use>
void with_estimator(const infalign::any_transform& transform, const Use& use) {
  transform.visit([&]<class Held>(const Held& held) {
    if constexpr (std::same_as<Held, infalign::exponential>) {
      use(infalign::unbiased_exponential(held.t));
    } else if constexpr (std::same_as<Held, infalign::identity>) {
      constexpr std::array<double, 2> line = {0, 1};
      use(infalign::unbiased_polynomial(line));
    } else {
      use(infalign::jackknife_corrected<infalign::any_transform>{transform});
    }
  });
}

}  // namespace

index_t references_for(const infalign::any_transform& transform) {
  return option_value("--transform", transform.name(), [&](const auto&) {
    index_t needed = 1;
    with_estimator(transform, [&](const auto& estimator) { needed = std::max(needed, estimator.references_needed()); });
    return needed;
  });
}

std::vector<double> expected_transforms(const reward_table& policy, const infalign::ragged<const double>& references,
                                        const infalign::any_transform& transform) {
  std::vector<double> each(policy.rewards.size());
  infalign::simd on;
  with_estimator(transform, [&](const auto& estimator) {
    infalign::corrected_transform(on, references, policy.groups(), estimator, infalign::ragged<double>(each, policy.offsets));
  });
  std::vector<double> means(policy.prompts.size());
  for (std::size_t p = 0; p < means.size(); ++p) {
    for (index_t i = policy.offsets[p]; i < policy.offsets[p + 1]; ++i) {
      const double value = each[static_cast<std::size_t>(i)];
      if (!std::isfinite(value))
        fail("{}:{}: prompt {} has an estimate of {}, as {} is infinite at 0 or 1 (clamped:LOW:HIGH:… is not)", policy.name,
             policy.first_line[p], policy.prompts.shown(p), value, transform.name());
      means[p] += value / static_cast<double>(policy.count(p));
    }
  }
  return means;
}

}  // namespace command
