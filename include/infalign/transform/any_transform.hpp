// SPDX-License-Identifier: Apache-2.0
/// \file
/// A transform that is chosen while the program runs. Names of transforms are read here.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "infalign/core/names.hpp"
#include "infalign/transform/combinators.hpp"
#include "infalign/transform/tabulated.hpp"
#include "infalign/transform/transform.hpp"
#include "infalign/transform/transforms.hpp"

namespace infalign {

namespace detail {
template <class... Transforms>
std::variant<Transforms..., tabulated, clamped<Transforms>...> transform_variant(type_list<Transforms...>);
}  // namespace detail

/// Any transform of the table, one of them clamped, or a `tabulated` one, as a value. It is a transform itself and has the values of
/// the one that it holds. It works wherever a transform does on host memory. In a loop, it is faster to visit it once and to work
/// with the type:
///
/// \code
/// const infalign::any_transform chosen = infalign::parse_transform("exponential:10");
/// chosen.visit([&](const auto& transform) { infalign::calibrate_transform(on, z, y, transform, out); });
/// \endcode
class any_transform {
 public:
  static constexpr const char* citation = "that of the transform which is held";
  using alternatives = decltype(detail::transform_variant(detail::transform_list()));

  template <class Transform>
    requires(!std::same_as<Transform, any_transform> &&
             std::constructible_from<alternatives, std::in_place_type_t<Transform>, Transform>)
  any_transform(Transform transform) : held_(std::in_place_type<Transform>, std::move(transform)) {}

  /// `f(transform)` with the transform in its own type.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(std::forward<F>(f), held_);
  }

  template <class V>
  INFALIGN_KEYED V operator()(V u) const {
    return visit([&u](const auto& transform) -> V { return transform(u); });
  }
  template <class V>
  INFALIGN_KEYED V derivative(V u) const {
    return visit([&u](const auto& transform) -> V { return transform.derivative(u); });
  }
  [[nodiscard]] INFALIGN_KEYED double derivative_near_one(double rest) const {
    return visit([rest](const auto& transform) { return detail::derivative_at(transform, 1 - rest, rest); });
  }
  [[nodiscard]] INFALIGN_KEYED std::vector<double> kinks() const {
    return visit([](const auto& transform) { return detail::kinks_of(transform); });
  }
  /// Reads back by `parse_transform`, except for a table.
  [[nodiscard]] INFALIGN_KEYED std::string name() const {
    return visit([](const auto& transform) { return transform.name(); });
  }

 private:
  alternatives held_;
};

[[nodiscard]] INFALIGN_KEYED inline any_transform parse_transform(std::string_view text);

namespace detail {

/// The entry for clamped transforms: `clamped:LOW:HIGH:INNER`, with an inner transform of the list.
struct clamped_by_name {
  static constexpr const name_entry& naming = clamped<identity>::naming;

  static any_transform read(parameter_reader& in) {
    const double lower = in.real("LOW");
    const double upper = in.real("HIGH");
    const std::string_view text = in.rest("INNER");
    if (parameter_reader("", text).head() == in.head())
      refuse(in, text);  // before it is read, so that names cannot nest deeply
    const any_transform inner = parse_transform(text);
    return inner.visit([&](const auto& transform) -> any_transform {
      if constexpr (contains<std::remove_cvref_t<decltype(transform)>>(transform_list()))
        return clamped(transform, lower, upper);
      else
        refuse(in, text);
    });
  }

 private:
  [[noreturn]] static void refuse(const parameter_reader& in, std::string_view text) {
    in.fail("'", shortened(text), "' is clamped already");
  }
};

using transform_name_list = decltype(appended<clamped_by_name>(transform_list()));

}  // namespace detail

/// The syntax of every name that `parse_transform` reads, with an example and a line of explanation each.
[[nodiscard]] constexpr auto transform_names() {
  return detail::name_entries(detail::transform_name_list());
}

/// The transform that `text` names, all of it, for example `exponential:10`; `transform_names()` lists what there is. The inverse of
/// `name()`, in any locale. Errors: `domain_error` with the text and what is wrong in it. For an unknown name it lists the known ones.
[[nodiscard]] INFALIGN_KEYED inline any_transform parse_transform(std::string_view text) {
  static constexpr auto table = detail::name_table<any_transform>(detail::transform_name_list());
  return detail::parse_name<any_transform>("parse_transform", "transform", text, table);
}

}  // namespace infalign
