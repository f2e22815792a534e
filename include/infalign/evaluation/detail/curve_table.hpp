// SPDX-License-Identifier: Apache-2.0
/// \file
/// The table that curves over N are made of. The share of best-of-N that c of m samples hold is `binom(c,N)/binom(m,N)`. With
/// `F_N(c) = binom(c,N)/binom(M,N)`, M being the largest group, it is `F_N(c)/F_N(m)`: one table serves groups of all sizes.
#pragma once

#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/binomial.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/shapes.hpp"

namespace infalign::detail {

/// `F_N(c)` for N = 1 … steps, at `values[c·steps + N - 1]`; for `load_on`, ones stand behind the end.
struct curve_table {
  const double* values;
  index_t steps;
  INFALIGN_HD const double* of(index_t count) const { return values + count * steps; }
};

struct curve_table_kernel {
  index_t largest;
  index_t steps;
  double* values;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t count) const {
    team.items(steps, [&](index_t i) { values[count * steps + i] = choose_ratio(count, largest, i + 1); });
    if (count == largest) team.items(read_on, [&](index_t i) { values[(count + 1) * steps + i] = 1; });
  }
};

/// The smallest and the largest size, at `out[0]` and `out[1]`; `sizes` holds one number a group.
template <class Groups>
struct extreme_sizes_kernel {
  Groups groups;
  double* sizes;
  double* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    using V = typename Team::template vec<double>;
    team.items(groups.size(), [&](index_t g) { sizes[g] = static_cast<double>(groups[g].size()); });
    V largest(0.0), negated(-infinity<double>);
    team.template loop<double>(groups.size(), [&](auto at, auto) {
      largest = max(largest, at.load(sizes));
      negated = max(negated, -at.load(sizes, infinity<double>));
    });
    const double most = team.maximum(largest), least = -team.maximum(negated);
    team.once([&] {
      out[0] = least;
      out[1] = most;
    });
  }
};
template <class G>
extreme_sizes_kernel(G, double*, double*) -> extreme_sizes_kernel<G>;

struct group_extent {
  index_t smallest;
  index_t largest;
};

template <class B, class Groups>
group_extent extent_of(B& on, const Groups& groups) {
  if constexpr (shape<Groups>::equal_sizes) {
    const index_t n = group_size(on, groups, 0);
    return {n, n};
  } else {
    auto frame = on.scratch();
    double* const sizes = frame.template take<double>(groups.size() + 2);
    double* const found = sizes + groups.size();
    on.groups(1, groups.size(), extreme_sizes_kernel{any_groups(groups), sizes, found});
    return {static_cast<index_t>(on.read(found)), static_cast<index_t>(on.read(found + 1))};
  }
}

/// The table for groups of any size up to that of the largest. Errors: `domain_error` where the smallest group's shares of the last N
/// would leave the range of doubles.
template <class B, class Frame>
curve_table make_curve_table(B& on, Frame& frame, std::string_view function, std::string_view name, group_extent sizes,
                             index_t steps) {
  const double least = choose_ratio(sizes.smallest, sizes.largest, steps);
  expects<domain_error>(least >= 1e-250, function, name, " has groups of ", sizes.smallest, " and of ", sizes.largest,
                        " values, too different for ", steps, " steps: split them by size");
  double* const values = frame.template take<double>((sizes.largest + 1) * steps + read_on);
  on.groups(sizes.largest + 1, (sizes.largest + 1) * steps * 8, curve_table_kernel{sizes.largest, steps, values});
  return {values, steps};
}

}  // namespace infalign::detail
