// SPDX-License-Identifier: Apache-2.0
/// \file
/// The mean transform of calibrated rewards, without the bias of few references: `--estimand expected-transform`.
#pragma once

#include <vector>

#include "infalign/core/views.hpp"
#include "infalign/transform/any_transform.hpp"
#include "reward_table.hpp"

namespace command {

/// How many references of each prompt the estimate needs. Throws `usage_failure` for an exponent that it cannot take.
infalign::index_t references_for(const infalign::any_transform& transform);

/// Of every prompt the mean over its rewards of `infalign::corrected_transform`: without bias for `identity` and `exponential`, by the
/// jackknife for others. Group p of `references` is that of prompt p. Throws `failure` where the transform is infinite.
std::vector<double> expected_transforms(const reward_table& policy, const infalign::ragged<const double>& references,
                                        const infalign::any_transform& transform);

}  // namespace command
