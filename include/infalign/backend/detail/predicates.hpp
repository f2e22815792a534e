// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a check looks for: predicates of the values at a position, each true for what offends.
#pragma once

#include "infalign/core/math.hpp"
#include "infalign/core/shapes.hpp"

namespace infalign::detail {

struct decreasing_offset {
  const index_t* offsets;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    return at.load(offsets + 1) < at.load(offsets);
  }
};

/// The next row begins before this one ends.
struct meets_next_row {
  const index_t* offsets;
  index_t columns;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto distance = at.load(offsets + 1) - at.load(offsets);
    return distance < std::remove_cv_t<decltype(distance)>(columns);
  }
};

template <class G>
struct smaller_than {
  G groups;
  index_t bound;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto sizes = shape<G>::sizes(at, groups);
    return sizes < decltype(at.load(static_cast<const index_t*>(nullptr)))(bound);
  }
};

template <class G, class H>
struct different_sizes {
  G a;
  H b;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    return !(shape<G>::sizes(at, a) == shape<H>::sizes(at, b));
  }
};

template <class T>
struct is_not_finite {
  const T* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    return not_finite(at.load(values));
  }
};

/// +inf or -inf, not NaN.
template <class T>
struct is_infinite {
  const T* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    using V = std::remove_cv_t<decltype(v)>;
    const V most(infinity<compute_t<T>>);
    return (v == most) | (v == -most);
  }
};

/// NaN or +inf. For log-probabilities: 0 has the logarithm -inf.
template <class T>
struct is_nan_or_infinite {
  const T* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    using V = std::remove_cv_t<decltype(v)>;
    return !(v < V(infinity<compute_t<T>>));
  }
};

template <class T>
struct is_negative {
  const T* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    return v < decltype(v + v)(0);
  }
};

template <class T>
struct is_negative_or_not_finite {
  const T* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    return (v < decltype(v + v)(0)) | not_finite(v);
  }
};

template <class T>
struct outside_range {
  const T* values;
  T lowest;
  T highest;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    using V = std::remove_cv_t<decltype(v)>;
    return !((v >= V(lowest)) & (v <= V(highest)));
  }
};

/// NaN too.
template <class T>
struct is_no_probability {
  const T* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    using V = std::remove_cv_t<decltype(v)>;
    return !((v >= V(0)) & (v <= V(1)));
  }
};

/// The number of values in each row for which the predicate `Offends` is true.
/// Precondition: the predicate is false for 0, because the tail of a load is padded with 0.
template <template <class> class Offends, class T, class Space>
struct offending_rows_kernel {
  rows<T, Space> groups;
  double* count;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using Value = std::remove_cv_t<T>;
    using V = typename Team::template vec<compute_t<Value>>;
    V found(0);
    const Offends<Value> offends{groups[g].data()};
    team.template loop<compute_t<Value>>(groups.columns(),
                                         [&](auto at, auto) { found = at.add_where(found, offends(at), V(1)); });
    const double total = team.sum(found);
    team.once([&] { count[g] = total; });
  }
};

struct is_positive {
  const double* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    return v > decltype(v + v)(0);
  }
};

}  // namespace infalign::detail
