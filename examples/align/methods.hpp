// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the aligned policies maximise: the raw reward, or a transform of the calibrated one.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "infalign/infalign.hpp"

namespace align {

/// One way to turn rewards into an objective, and the KL weights that it is run with.
template <class Backend>
struct method {
  using rewards = infalign::rows<const float>;
  using objective = infalign::rows<float>;

  std::string name;
  std::vector<double> betas;
  /// `objective = R(rewards)`, given rewards of base samples of the same prompts.
  std::function<void(Backend&, rewards references, rewards, objective)> transform;
};

/// Makes the methods for one backend.
template <class Backend>
struct method_maker {
  using made = method<Backend>;
  using rewards = typename made::rewards;
  using objective = typename made::objective;

  static made raw_reward(std::vector<double> betas) {
    return {"raw", std::move(betas),
            [](Backend&, rewards, rewards from, objective to) { std::copy_n(from.data(), from.total(), to.data()); }};
  }

  template <infalign::transform_function Transform>
  static made calibrated(std::string name, const Transform& transform, std::vector<double> betas) {
    return {std::move(name), std::move(betas), [transform](Backend& on, rewards references, rewards from, objective to) {
              infalign::calibrate_transform(on, references, from, transform, to);
            }};
  }

  /// `sign(t)·e^{tu}` divided by its largest size, so that the KL weights of all t are of one order of magnitude.
  static made exponential(double t, std::vector<double> betas) {
    const infalign::exponential transform(t);
    return calibrated(transform.name(), infalign::scaled(transform, std::exp(-std::max(t, 0.0))), std::move(betas));
  }
};

/// All that is compared. The KL weights of each method give KLs of about 1.1, 0.7, 0.4 and 0.25. With K references a calibrated
/// reward of 0 only says "less than about 1/K"; the logarithm is clamped there.
template <class Backend>
std::vector<method<Backend>> all_methods(std::size_t references) {
  using make = method_maker<Backend>;
  const double smallest = 0.5 / static_cast<double>(references);
  return {make::raw_reward({0.22, 0.31, 0.42, 0.6}),
          make::calibrated("identity", infalign::identity{}, {0.13, 0.21, 0.3, 0.42}),
          make::calibrated("logarithm", infalign::clamped(infalign::logarithm{}, smallest, 1), {0.2, 0.36, 0.6, 1.0}),
          make::exponential(5, {0.23, 0.295, 0.37, 0.48}),
          make::exponential(10, {0.24, 0.285, 0.35, 0.45}),
          make::exponential(-5, {0.025, 0.06, 0.12, 0.22}),
          make::exponential(-10, {0.004, 0.015, 0.05, 0.12})};
}

}  // namespace align
