// SPDX-License-Identifier: Apache-2.0
/// \file
/// Declares the SIMD backend and its team, for settings that are specialised for them where xsimd is not included.
#pragma once

#include "infalign/core/config.hpp"

namespace infalign {

template <class Arch>
class INFALIGN_KEYED basic_simd;

template <class Arch>
struct INFALIGN_KEYED simd_team;

}  // namespace infalign
