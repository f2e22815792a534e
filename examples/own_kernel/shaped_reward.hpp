// SPDX-License-Identifier: Apache-2.0
/// \file
/// A reward of your own, made of the library's parts: the transformed calibrated reward, less a price a token. One line for a
/// `float`, a SIMD register and a GPU thread.
#pragma once

#include <infalign/calibration/calibrator.hpp>
#include <infalign/core/config.hpp>

template <class Calibrator, class Transform, class V>
INFALIGN_HD V shaped_reward(const Calibrator& fitted, infalign::index_t prompt, const Transform& transform, V reward,
                            V tokens) {
  return transform(fitted[prompt].cdf(reward)) - V(0.001f) * tokens;
}
