// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace infalign::test {

/// How often the global allocation functions of this program were called; negative where they are not counted.
long allocations();

}  // namespace infalign::test
