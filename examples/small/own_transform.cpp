// SPDX-License-Identifier: Apache-2.0
// A transform of your own: the same formula for a number, a SIMD register and a GPU thread, and its derivative.
#include <cmath>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <infalign/theory/tilted_density.hpp>
#include <string>
#include <vector>

/// Φ(u) = -(1-u)², concave: it cares most about avoiding the worst responses.
struct miss_squared {
  static constexpr const char* citation = "this example";
  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return -(V(1) - u) * (V(1) - u);
  }
  template <class V>
  INFALIGN_HD V derivative(V u) const {
    return V(2) * (V(1) - u);
  }
  [[nodiscard]] std::string name() const { return "miss_squared"; }
};
static_assert(infalign::transform_function<miss_squared>);  // says what is missing, if something is

int main() {
  const std::vector<double> references{1, 2, 3, 4}, rewards{0.5, 2.5, 3, 9};
  std::vector<double> phi(4);
  infalign::simd on;
  infalign::calibrate_transform(on, infalign::rows<const double>(references.data(), 1, 4),
                                infalign::rows<const double>(rewards.data(), 1, 4), miss_squared{},
                                infalign::rows<double>(phi.data(), 1, 4));
  // The theory takes it too. With β = 2 the density ∝ e^{-(1-u)²/2} is half a normal one, cut off at one deviation.
  const infalign::tilted_density policy(miss_squared{}, infalign::kl_weight(2));
  const double log_z = std::log(std::sqrt(std::acos(-1.0) / 2) * std::erf(std::sqrt(0.5)));
  std::printf("transformed %.4f %.4f %.4f %.4f; log Z %.6f\n", phi[0], phi[1], phi[2], phi[3], policy.log_normalizer());
  const bool right = phi == std::vector<double>{-1, -0.25, -0.140625, 0};  // u = 0, 1/2, 5/8, 1
  return right && std::abs(policy.log_normalizer() - log_z) < 1e-12 ? 0 : 1;
}
