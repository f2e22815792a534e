// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"

namespace infalign {

/// In place of a mask: every value is a token of the response.
struct every_token {};

namespace detail {

/// What a mask says in a kernel: the weight of value `i` of group `g`.
template <class Mask>
struct mask_weights {
  any_groups<const typename Mask::value_type, typename Mask::memory_space> mask;
  [[nodiscard]] INFALIGN_HD double operator()(index_t g, index_t i) const { return static_cast<double>(mask[g][i]); }
};
template <>
struct mask_weights<every_token> {
  [[nodiscard]] INFALIGN_HD double operator()(index_t, index_t) const { return 1; }
};

/// The weights of a mask of the shape of `values`, apart from `out`. Errors: `shape_error`; `domain_error` for one that is
/// negative or not finite.
template <class B, class Mask, class Values, class Out>
mask_weights<Mask> check_mask(B& on, std::string_view function, const Mask& mask, std::string_view name, const Values& values,
                              std::string_view out_name, const Out& out) {
  if constexpr (std::same_as<Mask, every_token>) {
    return {};
  } else {
    static_assert(reachable_from<B, Mask>, "the views must live in the memory of the backend");
    expects_groups(on, function, "mask", mask);
    expects_same_shape(on, function, "mask", mask, name, values);
    expects_apart(function, out_name, out, "mask", mask);
    expects_each<is_negative_or_not_finite>(on, function, "mask", mask, "finite and not negative");
    using as_constant = decltype(shape<Mask>::over(static_cast<const typename Mask::value_type*>(nullptr), mask, {}));
    return {any_groups(as_constant(mask))};
  }
}

}  // namespace detail

}  // namespace infalign
