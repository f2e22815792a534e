// SPDX-License-Identifier: Apache-2.0
/// \file
/// The part that all backends on host memory share: cutting work into tasks, scratch memory, sorting, value checks.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

#include "infalign/backend/executor.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"
#include "infalign/core/workspace.hpp"

namespace infalign::detail {

/// The executor, scratch memory, and how work is cut into tasks. It depends on no template parameter, so it is compiled once.
class INFALIGN_KEYED host_execution {
 public:
  using memory_space = host_memory;

  host_execution() = default;
  explicit host_execution(executor run_tasks) : executor_(std::move(run_tasks)) {}

  [[nodiscard]] bool checks_values() const { return checks_values_; }
  workspace::frame scratch() { return workspace::frame(workspace_); }

 protected:
  /// Enough tasks to keep many cores busy. No task is so small that handing it out costs more than doing it.
  static index_t task_count(index_t n, index_t cost) {
    constexpr index_t smallest_task = 1 << 15;
    constexpr index_t most_tasks = 256;
    return std::min(n, std::clamp<index_t>(cost / smallest_task, 1, most_tasks));
  }
  /// `task(begin, end)` for consecutive pieces of `[0, n)`.
  template <class Task>
  void run(index_t n, index_t cost, const Task& task) {
    const index_t tasks = task_count(n, cost);
    const auto piece = [&, n, tasks](std::size_t i) {
      const auto t = static_cast<index_t>(i);
      task(n * t / tasks, n * (t + 1) / tasks);
    };
    run_tasks(tasks, task_ref(piece));
  }
  /// How many rooms `run_in_rooms` needs: one for each task where an executor may run them all at once, else one for all.
  [[nodiscard]] index_t most_at_once(index_t n, index_t cost) const {
    constexpr index_t most_rooms = 64;
    return executor_ ? std::min(most_rooms, task_count(n, cost)) : 1;
  }
  /// `task(begin, end, room)` for consecutive pieces of `[0, n)`. No two that run at the same time have the same room.
  template <class Task>
  void run_in_rooms(index_t n, index_t cost, index_t rooms, const Task& task) {
    const index_t tasks = executor_ ? rooms : task_count(n, cost);
    const auto piece = [&, n, tasks, rooms](std::size_t i) {
      const auto t = static_cast<index_t>(i);
      task(n * t / tasks, n * (t + 1) / tasks, rooms == 1 ? 0 : t);
    };
    run_tasks(tasks, task_ref(piece));
  }
  void stop_checking_values() { checks_values_ = false; }

 private:
  void run_tasks(index_t tasks, task_ref task) {
    if (tasks > 1 && executor_) return executor_(static_cast<std::size_t>(tasks), task);
    for (index_t t = 0; t < tasks; ++t) task(static_cast<std::size_t>(t));
  }

  executor executor_;
  workspace workspace_;
  bool checks_values_ = true;
};

/// `Derived` offers `team_type`, and `for_each<T>(begin, end, f)`: calls `f(at, k)` over the positions `[begin, end)`.
template <class Derived>
class host_backend : public host_execution {
 public:
  using host_execution::host_execution;

  /// The same backend without the search for bad values: shapes are still checked, NaN gives unspecified numbers.
  [[nodiscard]] Derived unchecked() const {
    Derived copy = static_cast<const Derived&>(*this);
    copy.stop_checking_values();
    return copy;
  }

  template <class T>
  using array = std::vector<T>;
  template <class T>
  [[nodiscard]] static array<T> make_array(index_t n) {
    return array<T>(static_cast<std::size_t>(n));
  }

  template <class T>
  [[nodiscard]] T read(const T* p) const {
    return *p;
  }

  template <class T, class F>
  void map(index_t n, const F& f) {
    run(n, n, [&f](index_t begin, index_t end) { Derived::template for_each<T>(begin, end, [&f](auto at, auto) { f(at); }); });
  }

  template <class Kernel>
  void groups(index_t n, index_t cost, const Kernel& kernel) {
    run(n, cost, [&kernel](index_t begin, index_t end) {
      typename Derived::team_type team;
      for (index_t g = begin; g < end; ++g) kernel(team, g);
    });
  }

  /// `groups` with room for `length` values that a team has to itself while it works on a group: `kernel(team, g, room)`.
  template <class T, class Kernel>
  void groups_with_room(index_t n, index_t cost, index_t length, const Kernel& kernel) {
    auto frame = scratch();
    constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
    const index_t stride = (length + line - 1) / line * line;
    const index_t rooms = most_at_once(n, cost);
    T* const room = frame.template take<T>(rooms * stride);
    run_in_rooms(n, cost, rooms, [&](index_t begin, index_t end, index_t r) {
      typename Derived::team_type team;
      for (index_t g = begin; g < end; ++g) kernel(team, g, room + r * stride);
    });
  }

  template <class T, class P>
  index_t first(index_t n, const P& p) {
    std::atomic<index_t> found = n;
    run(n, n, [&](index_t begin, index_t end) {
      const index_t candidate = first_in<T>(begin, end, n, p);
      for (index_t best = found; candidate < best && !found.compare_exchange_weak(best, candidate);) {
      }
    });
    return found;
  }

  template <class G, class T>
  void sort(const G& groups, T* out) {
    run(groups.size(), 8 * groups.total(), [&](index_t begin, index_t end) {
      for (index_t g = begin; g < end; ++g) sort_group(groups, g, out);
    });
  }

 protected:
  template <class G, class T>
  static void sort_group(const G& groups, index_t g, T* out) {
    const auto group = groups[g];
    T* const sorted = out + groups.offset(g);
    if (group.data() != sorted) std::copy(group.begin(), group.end(), sorted);
    std::sort(sorted, sorted + group.size(), ascending());
  }

 private:
  /// Searches whole blocks first, because the usual answer is "none". Then it searches the positions of the block that has one.
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
};

}  // namespace infalign::detail
