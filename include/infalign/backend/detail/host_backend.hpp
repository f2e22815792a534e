// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the backends that run on host memory share: cutting work into tasks, scratch memory, sorting, value checks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "infalign/backend/executor.hpp"
#include "infalign/core/views.hpp"
#include "infalign/core/workspace.hpp"

namespace infalign::detail {

/// `Derived` offers `team_type`, and `for_each<T>(begin, end, f)`: calls `f(at, k)` over the positions `[begin, end)`.
template <class Derived, class Executor>
class host_backend {
 public:
  using memory_space = host_memory;

  explicit host_backend(Executor executor = {}) : executor_(std::move(executor)) {}

  /// The same backend without the search for bad values: shapes are still checked, NaN gives unspecified numbers.
  [[nodiscard]] Derived unchecked() const {
    Derived copy = static_cast<const Derived&>(*this);
    copy.checks_values_ = false;
    return copy;
  }
  [[nodiscard]] bool checks_values() const { return checks_values_; }

  template <class T>
  using array = std::vector<T>;
  template <class T>
  [[nodiscard]] static array<T> make_array(index_t n) {
    return array<T>(static_cast<std::size_t>(n));
  }

  workspace::frame scratch() { return workspace::frame(workspace_); }

  template <class T>
  [[nodiscard]] T read(const T* p) const {
    return *p;
  }

  template <class T, class F>
  void map(index_t n, const F& f) {
    const index_t tasks = task_count(n, n);
    run(tasks, [&](index_t task) {
      Derived::template for_each<T>(n * task / tasks, n * (task + 1) / tasks, [&](auto at, auto) { f(at); });
    });
  }

  template <class Kernel>
  void groups(index_t n, index_t cost, const Kernel& kernel) {
    const index_t tasks = task_count(n, cost);
    run(tasks, [&](index_t task) {
      typename Derived::team_type team;
      for (index_t g = n * task / tasks; g < n * (task + 1) / tasks; ++g) kernel(team, g);
    });
  }

  template <class T, class P>
  index_t first(index_t n, const P& p) {
    const index_t tasks = task_count(n, n);
    auto frame = scratch();
    auto* found = frame.template take<index_t>(tasks);
    run(tasks, [&](index_t task) { found[task] = first_in<T>(n * task / tasks, n * (task + 1) / tasks, n, p); });
    return tasks == 0 ? n : *std::min_element(found, found + tasks);
  }

  template <class G, class T>
  void sort(const G& groups, T* out) {
    const index_t tasks = task_count(groups.size(), 8 * groups.total());
    run(tasks, [&](index_t task) {
      for (index_t g = groups.size() * task / tasks; g < groups.size() * (task + 1) / tasks; ++g) {
        const auto group = groups[g];
        T* const sorted = out + groups.offset(g);
        if (group.data() != sorted) std::copy(group.begin(), group.end(), sorted);
        std::sort(sorted, sorted + group.size());
      }
    });
  }

 private:
  /// Enough tasks to keep many cores busy, none so small that handing it out costs more than doing it.
  static index_t task_count(index_t n, index_t cost) {
    constexpr index_t smallest_task = 1 << 15;
    constexpr index_t most_tasks = 256;
    return std::min(n, std::clamp<index_t>(cost / smallest_task, 1, most_tasks));
  }

  template <class Task>
  void run(index_t tasks, const Task& task) {
    if (tasks == 1) return task(0);
    executor_(static_cast<std::size_t>(tasks), [&task](std::size_t i) { task(static_cast<index_t>(i)); });
  }

  /// Blocks first (the usual answer is "none"), then single positions inside the block that has one.
  template <class T, class P>
  static index_t first_in(index_t begin, index_t end, index_t none, const P& p) {
    constexpr index_t block = 1024;
    for (index_t b = begin; b < end; b += block) {
      const index_t stop = std::min(end, b + block);
      if (!any_in<T>(b, stop, p)) continue;
      for (index_t i = b; i < stop; ++i)
        if (any_in<T>(i, i + 1, p)) return i;
    }
    return none;
  }

  template <class T, class P>
  static bool any_in(index_t begin, index_t end, const P& p) {
    bool found = false;
    Derived::template for_each<T>(begin, end, [&](auto at, auto) { found |= at.any(p(at)); });
    return found;
  }

  Executor executor_;
  workspace workspace_;
  bool checks_values_ = true;
};

}  // namespace infalign::detail
