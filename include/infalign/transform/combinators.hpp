// SPDX-License-Identifier: Apache-2.0
/// \file
/// Transforms made of transforms: `scaled`, `shifted`, `clamped`, `composed`. Each is as fast as writing the formula out.
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/names.hpp"
#include "infalign/transform/transform.hpp"

namespace infalign {

/// `Φ(u) = factor·inner(u)`. Not negative, so that a better response never loses.
template <transform_function Inner>
struct scaled {
  static constexpr const char* citation = Inner::citation;
  using memory_space = memory_read_by<Inner>;
  Inner inner;
  double factor;

  scaled(Inner transform, double by) : inner(std::move(transform)), factor(by) {
    expects<domain_error>(by > 0 && by - by == 0, "scaled", "factor is ", by, ", must be positive and finite");
  }
  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return constant<V>(factor) * inner(u);
  }
  template <class V>
  INFALIGN_HD V derivative(V u) const {
    return constant<V>(factor) * inner.derivative(u);
  }
  [[nodiscard]] INFALIGN_KEYED double derivative_near_one(double rest) const {
    return factor * detail::derivative_at(inner, 1 - rest, rest);
  }
  [[nodiscard]] std::vector<double> kinks() const { return detail::kinks_of(inner); }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return detail::format_parameter(factor) + "*" + inner.name(); }
  auto ref() const { return scaled<decltype(kernel_form(inner))>(kernel_form(inner), factor); }
};

/// `Φ(u) = inner(u) + offset`.
template <transform_function Inner>
struct shifted {
  static constexpr const char* citation = Inner::citation;
  using memory_space = memory_read_by<Inner>;
  Inner inner;
  double offset;

  shifted(Inner transform, double by) : inner(std::move(transform)), offset(by) {
    expects<domain_error>(by - by == 0, "shifted", "offset is ", by, ", must be finite");
  }
  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return inner(u) + constant<V>(offset);
  }
  template <class V>
  INFALIGN_HD V derivative(V u) const {
    return inner.derivative(u);
  }
  [[nodiscard]] INFALIGN_KEYED double derivative_near_one(double rest) const {
    return detail::derivative_at(inner, 1 - rest, rest);
  }
  [[nodiscard]] std::vector<double> kinks() const { return detail::kinks_of(inner); }
  [[nodiscard]] INFALIGN_KEYED std::string name() const {
    return inner.name() + (offset < 0 ? "-" + detail::format_parameter(-offset) : "+" + detail::format_parameter(offset));
  }
  auto ref() const { return shifted<decltype(kernel_form(inner))>(kernel_form(inner), offset); }
};

/// `Φ(u) = inner(min(max(u, lower), upper))`: keeps a transform that is infinite at 0 or 1 finite. With K references a
/// calibrated reward of 0 only says "below about 1/K", so `1/(2K)` and `1 - 1/(2K)` are natural bounds.
template <transform_function Inner>
struct clamped {
  static constexpr const char* citation = Inner::citation;
  static constexpr name_entry naming{"clamped:LOW:HIGH:INNER", "clamped:0.005:1:logarithm",
                                     "INNER of u held between LOW and HIGH: finite where INNER is not"};
  using memory_space = memory_read_by<Inner>;
  Inner inner;
  double lower;
  double upper;

  clamped(Inner transform, double from, double to) : inner(std::move(transform)), lower(from), upper(to) {
    expects<domain_error>(0 <= from && from < to && to <= 1, "clamped", "bounds are [", from, ", ", to,
                          "], must satisfy 0 <= lower < upper <= 1");
  }
  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return inner(bounded(u));
  }
  /// 0 outside the bounds.
  template <class V>
  INFALIGN_HD V derivative(V u) const {
    const V inside = bounded(u);
    return select(inside == u, inner.derivative(inside), constant<V>(0));
  }
  [[nodiscard]] INFALIGN_KEYED double derivative_near_one(double rest) const {
    return rest < 1 - upper || rest > 1 - lower ? 0 : detail::derivative_at(inner, 1 - rest, rest);
  }
  /// The bounds, and those of `inner` between them.
  [[nodiscard]] std::vector<double> kinks() const {
    std::vector<double> at = detail::kinks_of(inner);
    std::erase_if(at, [this](double u) { return u <= lower || u >= upper; });
    if (lower > 0) at.insert(at.begin(), lower);
    if (upper < 1) at.push_back(upper);
    return at;
  }
  [[nodiscard]] INFALIGN_KEYED std::string name() const {
    return "clamped:" + detail::format_parameter(lower) + ":" + detail::format_parameter(upper) + ":" + inner.name();
  }
  auto ref() const { return clamped<decltype(kernel_form(inner))>(kernel_form(inner), lower, upper); }

 private:
  template <class V>
  INFALIGN_HD V bounded(V u) const {
    const V raised = select(u < constant<V>(lower), constant<V>(lower), u);
    return select(raised > constant<V>(upper), constant<V>(upper), raised);
  }
};

namespace detail {
/// The smallest u of [0, 1] from which on `reached` is true, to rounding; 1 if there is none before it. By bisection.
template <class Reached>
double first_where(const Reached& reached) {
  if (reached(0.0)) return 0;
  double before = 0;
  double from = 1;
  for (double middle = 0.5; middle > before && middle < from; middle = before + 0.5 * (from - before))
    (reached(middle) ? from : before) = middle;
  return from;
}
}  // namespace detail

/// `Φ(u) = outer(inner(u))`, `inner` mapping [0,1] into the domain of `outer`.
template <transform_function Outer, transform_function Inner>
struct composed {
  static constexpr const char* citation = Outer::citation;
  using memory_space = std::conditional_t<std::is_void_v<memory_read_by<Outer>>, memory_read_by<Inner>, memory_read_by<Outer>>;
  Outer outer;
  Inner inner;

  composed(Outer last, Inner first) : outer(std::move(last)), inner(std::move(first)) {}
  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return outer(inner(u));
  }
  template <class V>
  INFALIGN_HD V derivative(V u) const {
    return outer.derivative(inner(u)) * inner.derivative(u);
  }
  /// Those of `inner`, and the points that it maps to those of `outer`. Where `inner` stays at such a value, both ends of the stretch.
  [[nodiscard]] std::vector<double> kinks() const {
    std::vector<double> at = detail::kinks_of(inner);
    const bool rising = value_at(0) <= value_at(1);
    for (const double kink : detail::kinks_of(outer))
      for (const bool past : {false, true}) {
        const double u = detail::first_where([&](double x) {
          const double value = value_at(x);
          return past ? (rising ? value > kink : value < kink) : (rising ? value >= kink : value <= kink);
        });
        if (u > 0 && u < 1) at.push_back(u);
      }
    std::sort(at.begin(), at.end(), detail::ascending());
    // Without such a stretch the two differ by the rounding of `inner`.
    const auto same = [](double u, double next) { return next - u <= 1e-13 * next; };
    at.erase(std::unique(at.begin(), at.end(), same), at.end());
    return at;
  }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return outer.name() + "(" + inner.name() + ")"; }
  auto ref() const {
    return composed<decltype(kernel_form(outer)), decltype(kernel_form(inner))>(kernel_form(outer), kernel_form(inner));
  }

 private:
  [[nodiscard]] double value_at(double u) const { return static_cast<double>(inner(u)); }
};

}  // namespace infalign
