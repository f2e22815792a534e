// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <infalign/infalign.hpp>

infalign::estimate mean_transformed(infalign::rows<const float> values, const infalign::any_transform& transform,
                                    const infalign::best_of& procedure);
