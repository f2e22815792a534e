// SPDX-License-Identifier: Apache-2.0
/// \file
/// The checks of arguments that public functions begin with. They are written against the backend concept and run where the
/// data is.
///
/// Sizes that a view knows are always checked, and so are offsets on the host. Other values in memory (rewards, token ids, offsets on
/// a device) are checked unless the backend says `checks_values() == false`.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/predicates.hpp"
#include "infalign/core/any_rows.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"

namespace infalign::detail {

/// `values` can be what it says: its size is not negative, and there is memory behind it.
template <class T, class Space>
INFALIGN_KEYED void expects_span(std::string_view function, std::string_view name, const span<T, Space>& values) {
  expects<shape_error>(values.size() >= 0, function, name, " has ", values.size(), " values, a size must not be negative");
  expects<shape_error>(values.data() != nullptr || values.empty(), function, name, " has ", values.size(),
                       " values, but its data is null");
}

template <class B, class T, class Space>
void expects_groups(B&, std::string_view function, std::string_view name, const rows<T, Space>& groups) {
  constexpr index_t most = INT64_MAX / static_cast<index_t>(sizeof(T));
  const index_t n = groups.size(), columns = groups.columns(), stride = groups.stride();
  expects<shape_error>(n >= 0 && columns >= 0, function, name, " has ", n, " rows of ", columns,
                       " values, sizes must not be negative");
  expects<shape_error>(n <= 1 || stride >= columns, function, name, " has stride ", stride, ", less than its ", columns,
                       " columns");
  const index_t apart = n <= 1 ? columns : stride;
  expects<shape_error>(n == 0 || apart <= most / n, function, name, " has ", n, " rows, ", apart,
                       " values apart, more than memory can hold");
  expects<shape_error>(groups.data() != nullptr || n == 0 || columns == 0, function, name, " has ", n, " rows of ", columns,
                       " values, but its data is null");
}

/// Offsets decide which memory is read, so on the host they are always checked. On a device that would mean to wait for it, which
/// an unchecked backend is there to avoid.
template <class B>
bool checks_offsets(const B& on) {
  return std::same_as<typename B::memory_space, host_memory> || on.checks_values();
}

/// Offsets start at 0, never decrease, and end at the number of values. Messages call them `name` followed by `suffix`.
template <class B, class T, class Space>
void expects_groups(B& on, std::string_view function, std::string_view name, const ragged<T, Space>& groups,
                    std::string_view suffix = ".offsets") {
  const auto offsets = groups.offsets();
  expects_span(function, name, groups.values());
  expects_span(function, name, offsets);
  expects<shape_error>(!offsets.empty() || groups.total() == 0, function, name, " has ", groups.total(),
                       " values but no offsets");
  if (offsets.empty() || !checks_offsets(on)) return;
  const index_t start = on.read(offsets.data());
  expects<shape_error>(start == 0, function, name, suffix, "[0] is ", start, ", must be 0");
  const index_t bad = on.template first<index_t>(groups.size(), decreasing_offset{offsets.data()});
  if (bad < groups.size())
    raise<shape_error>(function, name, suffix, "[", bad + 1, "] is ", on.read(offsets.data() + bad + 1),
                       ", less than the offset before it, ", on.read(offsets.data() + bad));
  const index_t end = on.read(offsets.data() + groups.size());
  expects<shape_error>(end == groups.total(), function, name, suffix, "[", groups.size(), "] is ", end, ", but there are ",
                       groups.total(), " values");
}

/// Rows in bounds. Strides were checked when the view was made.
template <class B, class T, class Space>
void expects_groups(B& on, std::string_view function, std::string_view name, const any_rows<T, Space>& all) {
  const auto offsets = all.offsets();
  if (offsets.data() == nullptr && all.length() == all.size())
    return expects_groups(on, function, name, rows<T, Space>(all.data(), all.size(), all.columns(), all.stride()));
  const index_t columns = all.columns(), last = all.extent() - columns;
  expects<shape_error>(all.data() != nullptr || all.empty() || columns == 0, function, name, " has ", all.size(), " rows of ",
                       columns, " values, but its data is null");
  if (offsets.data() == nullptr) return;
  expects_span(function, name, offsets);
  expects<shape_error>(columns >= 0 && all.extent() >= 0, function, name, " has rows of ", columns, " among ", all.extent(),
                       " values, sizes must not be negative");
  expects<shape_error>(columns == 0 || all.size() <= INT64_MAX / static_cast<index_t>(sizeof(T)) / columns, function, name,
                       " has ", all.size(), " rows of ", columns, " values, more than memory can hold");
  if (!checks_offsets(on)) return;
  const index_t bad = on.template first<index_t>(offsets.size(), outside_range<index_t>{offsets.data(), 0, last});
  if (bad < offsets.size())
    raise<shape_error>(function, name, ".offsets[", bad, "] is ", on.read(offsets.data() + bad), ", but a row of ", columns,
                       " values must end within ", all.extent());
}

/// Rows that are written: none overlaps another.
template <class B, class T, class Space>
void expects_rows_apart(B& on, std::string_view function, std::string_view name, const any_rows<T, Space>& all) {
  const auto offsets = all.offsets();
  if (offsets.size() <= 1 || !checks_offsets(on)) return;
  const index_t bad = on.template first<index_t>(offsets.size() - 1, meets_next_row{offsets.data(), all.columns()});
  if (bad + 1 < offsets.size())
    raise<shape_error>(function, name, ".offsets[", bad + 1, "] is ", on.read(offsets.data() + bad + 1),
                       ", less than a row behind the offset before it, ", on.read(offsets.data() + bad));
}

template <class B, class G>
index_t group_size(B& on, const G& groups, index_t g) {
  return shape<G>::size_of([&on](const index_t* p) { return on.read(p); }, groups, g);
}

/// The two have the same number of groups.
template <class G, class H>
INFALIGN_KEYED void expects_same_count(std::string_view function, std::string_view a_name, const G& a, std::string_view b_name,
                                       const H& b) {
  expects<shape_error>(a.size() == b.size(), function, a_name, " has ", a.size(), " groups, but ", b_name, " has ", b.size());
}

/// The two have the same number of groups, of the same lengths.
template <class B, class G, class H>
void expects_same_shape(B& on, std::string_view function, std::string_view a_name, const G& a, std::string_view b_name,
                        const H& b) {
  expects_same_count(function, a_name, a, b_name, b);
  if (a.empty()) return;
  index_t bad = a.size();
  if constexpr (shape<G>::equal_sizes && shape<H>::equal_sizes)
    bad = group_size(on, a, 0) == group_size(on, b, 0) ? a.size() : 0;
  else if (checks_offsets(on))
    bad = on.template first<index_t>(a.size(), different_sizes<G, H>{a, b});
  if (bad < a.size())
    raise<shape_error>(function, a_name, "[", bad, "] has ", group_size(on, a, bad), " values, but ", b_name, "[", bad,
                       "] has ", group_size(on, b, bad));
}

/// Every group has at least `bound` values. `why` ends the message.
template <class B, class G, class... Why>
void expects_group_sizes(B& on, std::string_view function, std::string_view name, const G& groups, index_t bound,
                         const Why&... why) {
  if (groups.empty()) return;
  index_t bad = groups.size();
  if constexpr (shape<G>::equal_sizes)
    bad = group_size(on, groups, 0) < bound ? 0 : groups.size();
  else if (checks_offsets(on))
    bad = on.template first<index_t>(groups.size(), smaller_than<G>{groups, bound});
  if (bad < groups.size())
    raise<shape_error>(function, name, "[", bad, "] has ", group_size(on, groups, bad), " values, ", why...);
}

template <template <class> class Offends, class B, class T>
void expects_run(B& on, std::string_view function, std::string_view name, const T* values, index_t n,
                 std::string_view requirement, auto where) {
  const index_t bad = on.template first<compute_t<T>>(n, Offends<T>{values});
  if (bad < n)
    raise<domain_error>(function, name, where(bad), " is ", static_cast<double>(on.read(values + bad)), ", must be ",
                        requirement);
}

/// The group that holds value number `position` of a packed sequence, by bisection over the offsets.
template <class B, class T, class Space>
index_t group_of(B& on, const ragged<T, Space>& groups, index_t position) {
  index_t low = 0;
  index_t high = groups.size();
  while (high - low > 1) {
    const index_t middle = low + (high - low) / 2;
    (on.read(groups.offsets().data() + middle) <= position ? low : high) = middle;
  }
  return low;
}

INFALIGN_KEYED inline std::string in_group(index_t g, index_t i) {
  return "[" + std::to_string(g) + "][" + std::to_string(i) + "]";
}

/// `Offends` is false for every value. Otherwise an error names group, position and value.
template <template <class> class Offends, class B, class T, class Space>
void expects_each(B& on, std::string_view function, std::string_view name, const rows<T, Space>& groups,
                  std::string_view requirement) {
  if (!on.checks_values()) return;
  using Value = std::remove_cv_t<T>;
  const index_t columns = groups.columns();
  if (groups.stride() == columns || groups.size() == 1)
    return expects_run<Offends, B, Value>(on, function, name, groups.data(), groups.total(), requirement,
                                          [&](index_t i) { return in_group(i / columns, i % columns); });
  auto frame = on.scratch();
  double* const flags = frame.template take<double>(groups.size());
  on.groups(groups.size(), groups.total(), offending_rows_kernel<Offends, T, Space>{groups, flags});
  const index_t g = on.template first<double>(groups.size(), is_positive{flags});
  if (g < groups.size())
    expects_run<Offends, B, Value>(on, function, name, groups[g].data(), columns, requirement,
                                   [&](index_t i) { return in_group(g, i); });
}
template <template <class> class Offends, class B, class T, class Space>
void expects_each(B& on, std::string_view function, std::string_view name, const ragged<T, Space>& groups,
                  std::string_view requirement) {
  if (!on.checks_values()) return;
  expects_run<Offends, B, std::remove_cv_t<T>>(on, function, name, groups.data(), groups.total(), requirement, [&](index_t i) {
    const index_t g = group_of(on, groups, i);
    return in_group(g, i - on.read(groups.offsets().data() + g));
  });
}
template <template <class> class Offends, class B, class T, class Space>
void expects_each(B& on, std::string_view function, std::string_view name, const span<T, Space>& values,
                  std::string_view requirement) {
  if (!on.checks_values()) return;
  expects_run<Offends, B, std::remove_cv_t<T>>(on, function, name, values.data(), values.size(), requirement,
                                               [](index_t i) { return "[" + std::to_string(i) + "]"; });
}

/// No NaN and no infinity. `values` is a span or groups.
template <class B, class Values>
void expects_finite(B& on, std::string_view function, std::string_view name, const Values& values) {
  expects_each<is_not_finite>(on, function, name, values, "finite");
}

/// Every value lies in `[lowest, highest]`. Otherwise an error names position and value.
template <class B, class T, class Space>
void expects_range(B& on, std::string_view function, std::string_view name, const span<T, Space>& values,
                   std::remove_cv_t<T> lowest, std::remove_cv_t<T> highest) {
  if (!on.checks_values()) return;
  using Value = std::remove_cv_t<T>;
  const index_t bad = on.template first<Value>(values.size(), outside_range<Value>{values.data(), lowest, highest});
  if (bad < values.size())
    raise<domain_error>(function, name, "[", bad, "] is ", on.read(values.data() + bad), ", must be in [", lowest, ", ",
                        highest, "]");
}

}  // namespace infalign::detail
