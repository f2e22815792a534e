// SPDX-License-Identifier: Apache-2.0
/// \file
/// Settings of the passes over a row of logits, for each kind of team. They may change results in the last digit. The default
/// always works.
#pragma once

#include "infalign/backend/simd_forward.hpp"

namespace infalign {

/// Whether it is cheaper to write the exponentials of a row and read them back than to compute them twice.
///
/// The default, false, saves memory traffic. Arithmetic is cheaper on a GPU, and plain loops round nothing in between.
template <class Team>
inline constexpr bool keeps_exponentials = false;

/// Measured: a row and its gradient stay in the second-level cache. A round trip there costs a fifth of an exponential.
template <class Arch>
inline constexpr bool keeps_exponentials<simd_team<Arch>> = true;

}  // namespace infalign
