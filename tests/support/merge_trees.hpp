// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every way to merge the states of parts.
#pragma once

#include <cstddef>
#include <vector>

namespace infalign::test {

/// Merges any two of the parts, either into the other, then any two of what is left, until one is left, and calls `use(state)` for
/// each way: all binary trees over the parts in all orders. Of four parts there are 144, of five 2,880.
template <class State, class Use>
void for_each_merge_tree(const std::vector<State>& parts, const Use& use) {
  if (parts.size() == 1) return use(parts.front());
  for (std::size_t i = 0; i < parts.size(); ++i)
    for (std::size_t j = 0; j < parts.size(); ++j) {
      if (i == j) continue;
      std::vector<State> left;
      for (std::size_t k = 0; k < parts.size(); ++k)
        if (k != i && k != j) left.push_back(parts[k]);
      left.push_back(parts[i]);
      left.back().merge(parts[j]);
      for_each_merge_tree(left, use);
    }
}

}  // namespace infalign::test
