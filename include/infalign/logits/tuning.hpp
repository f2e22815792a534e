// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the passes over a row of logits may be told about a team. Results may differ in the last digit; the default always
/// works.
#pragma once

namespace infalign {

template <class Arch>
struct simd_team;

/// Is it cheaper to write the exponentials of a row out and read them back than to take them twice?
///
/// The default, false, spares memory traffic: arithmetic is cheaper on a GPU, and plain loops round nothing in between.
template <class Team>
inline constexpr bool keeps_exponentials = false;

/// Measured: a row and its gradient stay in the second-level cache, where a round trip costs a fifth of an exponential.
template <class Arch>
inline constexpr bool keeps_exponentials<simd_team<Arch>> = true;

}  // namespace infalign
