// SPDX-License-Identifier: Apache-2.0
/// \file
/// The table of procedures. A new procedure is a file of its own and an entry here: its header, and its type in the list. All else
/// is derived from the list: `any_procedure`, `parse_procedure`, what an error message lists, and the help of the command.
#pragma once

#include "infalign/core/names.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/best_of_poisson.hpp"
#include "infalign/procedure/best_of_random.hpp"
#include "infalign/procedure/order_statistic.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/top_of.hpp"
#include "infalign/procedure/worst_of.hpp"

namespace infalign::detail {

/// In the order in which they are listed for a reader.
using procedure_list = type_list<standard, best_of, worst_of, order_statistic, top_of, best_of_random, best_of_poisson>;

}  // namespace infalign::detail
