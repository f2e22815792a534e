// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/shapes.hpp"

namespace infalign::detail {

/// The groups in ascending order, in scratch memory.
template <class B, class Frame, class Groups>
auto sorted_groups(B& on, Frame& frame, const Groups& groups) {
  using T = typename Groups::value_type;
  T* const sorted = frame.template take<T>(groups.total());
  on.sort(groups, sorted);
  return any_groups(packed_like<const T>(groups, sorted));
}

}  // namespace infalign::detail
