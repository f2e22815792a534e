// SPDX-License-Identifier: Apache-2.0
/// \file
/// Checks of where results are written. A result over what is still to be read would be silently wrong, so every public function
/// either works in place or refuses.
#pragma once

#include <cstdint>
#include <string_view>

#include "infalign/core/any_rows.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"

namespace infalign::detail {

/// The bytes that a view covers: `count` runs of `width` bytes, `stride` bytes apart.
struct INFALIGN_KEYED footprint {
  std::uintptr_t begin = 0;
  std::uintptr_t width = 0;
  std::uintptr_t stride = 0;
  std::uintptr_t count = 0;

  [[nodiscard]] bool empty() const { return width == 0 || count == 0; }
  [[nodiscard]] std::uintptr_t end() const { return begin + (count - 1) * stride + width; }
  bool operator==(const footprint&) const = default;
};

template <class T, class Space>
footprint footprint_of(const span<T, Space>& values) {
  const auto bytes = static_cast<std::uintptr_t>(values.size()) * sizeof(T);
  return {reinterpret_cast<std::uintptr_t>(values.data()), bytes, bytes, 1};
}
template <class T, class Space>
footprint footprint_of(const ragged<T, Space>& groups) {
  return footprint_of(groups.values());
}
template <class T, class Space>
footprint footprint_of(const rows<T, Space>& groups) {
  if (groups.size() <= 1 || groups.stride() == groups.columns())
    return footprint_of(span<T, Space>(groups.data(), groups.total()));
  return {reinterpret_cast<std::uintptr_t>(groups.data()), static_cast<std::uintptr_t>(groups.columns()) * sizeof(T),
          static_cast<std::uintptr_t>(groups.stride()) * sizeof(T), static_cast<std::uintptr_t>(groups.size())};
}

/// Rows at offsets are taken to cover all values that the offsets count from, and those of a batch what lies between them.
template <class T, class Space>
footprint footprint_of(const any_rows<T, Space>& all) {
  if (all.offsets().data() != nullptr) return footprint_of(span<T, Space>(all.data(), all.extent()));
  if (all.length() == all.size()) return footprint_of(rows<T, Space>(all.data(), all.size(), all.columns(), all.stride()));
  const index_t length = all.length(), batch = all.size() / length;
  const bool rows_are_inner = all.stride() <= all.batch_stride();
  const index_t extent = rows_are_inner ? (length - 1) * all.stride() : (batch - 1) * all.batch_stride();
  return footprint_of(rows<T, Space>(all.data(), rows_are_inner ? batch : length, extent + all.columns(),
                                     rows_are_inner ? all.batch_stride() : all.stride()));
}

/// Takes any values. A class, since nvcc 13 takes no lambda in a requirement.
struct takes_values {
  template <class Values>
  void operator()(const Values&) const {}
};
/// Of a view whose type of elements is known at run time alone.
template <class Erased>
  requires requires(const Erased& view) { view.visit(takes_values{}); }
footprint footprint_of(const Erased& view) {
  return view.visit([](const auto& values) { return footprint_of(values); });
}

/// Whether two views share a byte. Columns of one matrix may lie between those of another, if both have the same stride; views that
/// interleave in other ways are taken to overlap.
inline bool overlap(const footprint& a, const footprint& b) {
  if (a.empty() || b.empty() || a.end() <= b.begin || b.end() <= a.begin) return false;
  if (a.count > 1 && b.count > 1 && a.stride != b.stride) return true;
  const footprint& wide = a.count > 1 ? a : b;
  const footprint& other = a.count > 1 ? b : a;
  if (wide.count == 1) return true;
  // Where `other` begins, counted from the beginning of a row of `wide`.
  const std::uintptr_t at = other.begin >= wide.begin ? (other.begin - wide.begin) % wide.stride
                                                      : wide.stride - 1 - (wide.begin - other.begin - 1) % wide.stride;
  return at < wide.width || other.width > wide.stride - at;
}

/// `out` shares no memory with `in`.
template <class Out, class In>
INFALIGN_KEYED void expects_apart(std::string_view function, std::string_view out_name, const Out& out,
                                  std::string_view in_name, const In& in) {
  expects<shape_error>(!overlap(footprint_of(out), footprint_of(in)), function, out_name, " overlaps ", in_name);
}

/// `out` shares no memory with `in`, or is the very same values: then every value is read before it is written.
template <class Out, class In>
INFALIGN_KEYED void expects_apart_or_same(std::string_view function, std::string_view out_name, const Out& out,
                                          std::string_view in_name, const In& in) {
  const footprint target = footprint_of(out), source = footprint_of(in);
  const bool same = target == source && sizeof(typename Out::value_type) == sizeof(typename In::value_type);
  expects<shape_error>(same || !overlap(target, source), function, out_name, " overlaps ", in_name,
                       " without being the same values");
}

/// Whether row by row the two are the same memory.
template <class T, class U, class Space>
INFALIGN_KEYED bool are_same_rows(const any_rows<T, Space>& a, const any_rows<U, Space>& b) {
  const void* const begin = a.data();
  if (begin != b.data() || sizeof(T) != sizeof(U) || a.size() != b.size() || a.columns() != b.columns()) return false;
  if (a.offsets().data() != nullptr || b.offsets().data() != nullptr) return a.offsets().data() == b.offsets().data();
  const bool same_batches = a.length() == b.length() && (a.length() == a.size() || a.batch_stride() == b.batch_stride());
  return same_batches && (a.size() <= 1 || a.stride() == b.stride());
}

/// `out` shares no memory with `in`, or is the very same rows: then every row is read before it is written.
template <class T, class U, class Space>
INFALIGN_KEYED void expects_apart_or_same_rows(std::string_view function, std::string_view out_name,
                                               const any_rows<T, Space>& out, std::string_view in_name,
                                               const any_rows<U, Space>& in) {
  expects<shape_error>(are_same_rows(out, in) || !overlap(footprint_of(out), footprint_of(in)), function, out_name,
                       " overlaps ", in_name, " without being the same values");
}

}  // namespace infalign::detail
