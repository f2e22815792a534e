// SPDX-License-Identifier: Apache-2.0
/// \file
/// The oracle: plain loops, one element at a time, everything computed and accumulated in `double`.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/host_backend.hpp"
#include "infalign/core/math.hpp"

namespace infalign {

/// One position of a plain loop.
template <class T>
struct scalar_position {
  using vec = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  index_t i;

  template <class Storage>
  [[nodiscard]] INFALIGN_HD vec load(const Storage* p, vec = vec()) const {
    return static_cast<vec>(p[i]);
  }
  template <class Storage>
  INFALIGN_HD void store(Storage* p, vec v) const {
    p[i] = static_cast<Storage>(static_cast<compute_t<Storage>>(v));
  }
  [[nodiscard]] INFALIGN_HD static vec add_where(vec sum, bool mask, vec v) { return mask ? sum + v : sum; }
  [[nodiscard]] INFALIGN_HD static vec count_where(vec count, bool mask) { return count + static_cast<vec>(mask); }
  [[nodiscard]] INFALIGN_HD static bool any(bool mask) { return mask; }
};

/// A team of one lane.
struct scalar_team {
  template <class T>
  using vec = typename scalar_position<T>::vec;
  template <class T>
  using positions = position_types<scalar_position<T>>;

  template <class T, int U = 1, class F>
  INFALIGN_HD void loop(index_t n, F&& f) const {
    for (index_t i = 0; i < n; ++i) f(scalar_position<T>{i}, accumulator_index<0>{});
  }
  template <class F>
  INFALIGN_HD void items(index_t n, F&& f) const {
    for (index_t i = 0; i < n; ++i) f(i);
  }
  template <class F>
  [[nodiscard]] INFALIGN_HD double sum_items(index_t n, F&& f) const {
    double sum = 0;
    for (index_t i = 0; i < n; ++i) sum += f(i);
    return sum;
  }
  [[nodiscard]] INFALIGN_HD static double sum(double v) { return v; }
  [[nodiscard]] INFALIGN_HD static double count(double counts) { return counts; }
  [[nodiscard]] INFALIGN_HD static double maximum(double v) { return v; }
  template <class F>
  INFALIGN_HD void once(F&& f) const {
    f();
  }
  template <class T>
  [[nodiscard]] INFALIGN_HD static constexpr index_t chunk() {
    return 1 << 12;
  }
};

/// Backend of plain loops on host memory, on the calling thread or by an executor. See `backend.hpp` for the meaning of its
/// members.
class INFALIGN_KEYED scalar : public detail::host_backend<scalar> {
 public:
  using team_type = scalar_team;
  scalar() = default;
  template <class Executor>
    requires(!std::same_as<Executor, scalar> && executor_function<Executor>)
  explicit scalar(Executor run_tasks) : detail::host_backend<scalar>(executor(std::move(run_tasks))) {}

  template <class T, class F>
  static void for_each(index_t begin, index_t end, const F& f) {
    for (index_t i = begin; i < end; ++i) f(scalar_position<T>{i}, accumulator_index<0>{});
  }
};

static_assert(backend<scalar>);

}  // namespace infalign
