// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace infalign::test {

/// How often the global allocation functions of this program were called; negative where they are not counted.
long allocations();

/// The allocation after `further` more of them throws `std::bad_alloc`, once; negative: none does.
void fail_allocation(long further);

}  // namespace infalign::test
