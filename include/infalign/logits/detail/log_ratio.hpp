// SPDX-License-Identifier: Apache-2.0
/// \file
/// Differences of logits that stay exact, whatever the offsets of the rows.
#pragma once

#include "infalign/core/math.hpp"
#include "infalign/logits/logit_map.hpp"

namespace infalign::detail {

/// `scale·(x - high) - low`, for a `high` that the value type holds and a `low` that may be as small as a rounding error of it. The
/// sum of the two, rounded, would make an error in the difference that grows with the logits.
template <bool Mapped, class V>
struct precise_minus {
  V high;
  V low;
  logit_scale<Mapped, V> scale;
  INFALIGN_HD precise_minus(double h, double l, double s) : high(constant<V>(h)), low(constant<V>(l)), scale(s) {}
  INFALIGN_HD V operator()(V x) const { return scale(x - high) - low; }
};

/// `scale·[(b - base_shift) - (l - shift)] + above` for logits `l` and `b` of two rows.
///
/// The difference `b - l` is nearly exact, and is taken first, if the rows have about the same offset. If their offsets differ,
/// each logit is first measured from its own shift.
template <bool Mapped, class V>
struct log_ratio {
  V from;
  V from_base;
  V rest;
  logit_scale<Mapped, V> scale;

  INFALIGN_HD log_ratio(double shift, double base_shift, double above, double by) : from(0), from_base(0), rest(0), scale(by) {
    const double offset = shift - base_shift;
    const bool near = offset >= -8 && offset <= 8;
    if (!near) from = constant<V>(shift), from_base = constant<V>(base_shift);
    rest = constant<V>(near ? above + by * offset : above);
  }
  INFALIGN_HD V operator()(V l, V b) const { return scale((b - from_base) - (l - from)) + rest; }
};

}  // namespace infalign::detail
