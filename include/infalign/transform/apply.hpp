// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/transform/transform.hpp"

namespace infalign {

namespace detail {
template <class In, class Out, class Transform>
struct apply_formula {
  const In* in;
  Out* out;
  Transform transform;
  template <class At>
  INFALIGN_HD void operator()(At at) const {
    prefetch(at, in);
    at.store(out, transform(at.load(in)));
  }
};
template <class In, class Out, class Transform>
apply_formula(const In*, Out*, Transform) -> apply_formula<In, Out, Transform>;
}  // namespace detail

/// `out[i] = Φ(in[i])`. `in` holds calibrated rewards in [0, 1]; `out` has its size and may be `in`; other overlap is an error.
/// Cost: one pass. Errors, before anything is written: `shape_error` for different sizes, `domain_error` for a value outside [0, 1]
/// or NaN. Deterministic on every backend. Error: that of the
/// transform, and one rounding to the type of `out`.
template <backend B, class Transform, class In, class Out>
void apply(B&& on, const Transform& transform, const In& in, Out&& out) {
  detail::expects_transform<Transform>();
  const span input(in);
  const span output(out);
  static_assert(reachable_from<B, decltype(input), decltype(output)>, "the views must live in the memory of the backend");
  expects<shape_error>(input.size() == output.size(), "apply", "out has ", output.size(), " values, but in has ", input.size());
  detail::expects_span("apply", "in", input);
  detail::expects_span("apply", "out", output);
  detail::expects_apart_or_same("apply", "out", output, "in", input);
  detail::expects_range(on, "apply", "in", input, 0, 1);
  using T = typename decltype(input)::value_type;
  const auto form = kernel_form(transform);
  static_assert(usable_in<std::remove_const_t<decltype(form)>, typename std::remove_cvref_t<B>::memory_space>,
                "the table of the transform must live in the memory of the backend");
  on.template map<compute_t<T>>(input.size(), detail::apply_formula{input.data(), output.data(), form});
}

}  // namespace infalign
