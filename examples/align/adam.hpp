// SPDX-License-Identifier: Apache-2.0
/// \file
/// The Adam optimiser (Kingma & Ba, ICLR 2015), with the decay rates 0.9 and 0.999 of the paper.
#pragma once

#include <Eigen/Core>
#include <cmath>

namespace align {

template <class Scalar>
class adam {
 public:
  using vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

  explicit adam(Eigen::Index n_parameters, double epsilon = 1e-8)
      : epsilon_(epsilon), mean_(vector::Zero(n_parameters)), square_(vector::Zero(n_parameters)) {}

  /// Moves `parameters` against `gradient`.
  void step(vector& parameters, const vector& gradient, double learning_rate) {
    ++steps_;
    // The moments start at zero. The corrections for that are folded into the step size and into ε.
    const double root = std::sqrt(1 - std::pow(beta2, steps_));
    const auto rate = static_cast<Scalar>(learning_rate * root / (1 - std::pow(beta1, steps_)));
    const auto epsilon = static_cast<Scalar>(epsilon_ * root);
    const auto b1 = static_cast<Scalar>(beta1), b2 = static_cast<Scalar>(beta2);
    const auto g = gradient.array();
    mean_.array() += (1 - b1) * (g - mean_.array());
    square_.array() += (1 - b2) * (g.square() - square_.array());
    parameters.array() -= rate * mean_.array() / (square_.array().sqrt() + epsilon);
  }

 private:
  static constexpr double beta1 = 0.9, beta2 = 0.999;
  double epsilon_;
  int steps_ = 0;
  vector mean_, square_;
};

}  // namespace align
