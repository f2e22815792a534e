// SPDX-License-Identifier: Apache-2.0
/// \file
/// A transform chosen while the program runs, and the one place where names of transforms are read.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "infalign/core/name_syntax.hpp"
#include "infalign/transform/combinators.hpp"
#include "infalign/transform/exponential.hpp"
#include "infalign/transform/identity.hpp"
#include "infalign/transform/logarithm.hpp"
#include "infalign/transform/normal_quantile.hpp"
#include "infalign/transform/power.hpp"
#include "infalign/transform/tabulated.hpp"
#include "infalign/transform/transform.hpp"

namespace infalign {

/// Any transform of the library, or one of them clamped, as a value. It is a transform itself, with the values of the one that it
/// holds, and works wherever a transform does on host memory; what is evaluated in a loop is faster with the type known:
///
/// \code
/// const infalign::any_transform chosen = infalign::parse_transform("exponential:10");
/// chosen.visit([&](const auto& transform) { infalign::calibrate_transform(on, z, y, transform, out); });
/// \endcode
class any_transform {
 public:
  static constexpr const char* citation = "that of the transform which is held";
  using alternatives = std::variant<identity, logarithm, exponential, power, normal_quantile, tabulated, clamped<identity>,
                                    clamped<logarithm>, clamped<exponential>, clamped<power>, clamped<normal_quantile>>;

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
  V operator()(V u) const {
    return visit([&u](const auto& transform) -> V { return transform(u); });
  }
  template <class V>
  V derivative(V u) const {
    return visit([&u](const auto& transform) -> V { return transform.derivative(u); });
  }
  /// Reads back by `parse_transform`, except for a table.
  [[nodiscard]] std::string name() const {
    return visit([](const auto& transform) { return transform.name(); });
  }

 private:
  alternatives held_;
};

[[nodiscard]] inline any_transform parse_transform(std::string_view text);

namespace detail {

/// `clamped:LOW:HIGH:INNER`, where the inner transform is a plain one.
inline any_transform read_clamped(parameter_reader& in) {
  const double lower = in.real("LOW");
  const double upper = in.real("HIGH");
  const any_transform inner = parse_transform(in.rest("INNER"));
  return inner.visit([&](const auto& transform) -> any_transform {
    using bounded = clamped<std::remove_cvref_t<decltype(transform)>>;
    if constexpr (std::constructible_from<any_transform, bounded>)
      return bounded(transform, lower, upper);
    else
      in.fail("'", transform.name(), "' is clamped already");
  });
}

inline constexpr named_syntax<any_transform> transform_names[] = {
    {"identity", [](parameter_reader&) -> any_transform { return identity{}; }},
    {"logarithm", [](parameter_reader&) -> any_transform { return logarithm{}; }},
    {"exponential:T", [](parameter_reader& in) -> any_transform { return exponential(in.real("T")); }},
    {"power:P", [](parameter_reader& in) -> any_transform { return power(in.real("P")); }},
    {"normal_quantile", [](parameter_reader&) -> any_transform { return normal_quantile{}; }},
    {"clamped:LOW:HIGH:INNER", read_clamped},
};

}  // namespace detail

/// The transform that `text` names, all of it: `identity`, `logarithm`, `exponential:T`, `power:P`, `normal_quantile`, or one of
/// these with the calibrated reward clamped, `clamped:LOW:HIGH:INNER`. The inverse of `name()`, in any locale.
/// Errors: `domain_error` with the text and what is wrong in it; for an unknown name it lists the known ones.
[[nodiscard]] inline any_transform parse_transform(std::string_view text) {
  return detail::parse_name<any_transform>("parse_transform", "transform", text, detail::transform_names);
}

}  // namespace infalign
