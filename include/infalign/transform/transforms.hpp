// SPDX-License-Identifier: Apache-2.0
/// \file
/// The table of transforms. A new transform is a file of its own and an entry here: its header, and its type in the list. All else
/// is derived from the list: `any_transform`, `parse_transform`, what an error message lists, and the help of the command.
#pragma once

#include "infalign/core/names.hpp"
#include "infalign/transform/exponential.hpp"
#include "infalign/transform/identity.hpp"
#include "infalign/transform/logarithm.hpp"
#include "infalign/transform/normal_quantile.hpp"
#include "infalign/transform/power.hpp"

namespace infalign::detail {

/// In the order in which they are listed for a reader.
using transform_list = type_list<identity, logarithm, exponential, power, normal_quantile>;

}  // namespace infalign::detail
