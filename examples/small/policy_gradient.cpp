// SPDX-License-Identifier: Apache-2.0
// From logits to loss, KL and gradient in one call: a KL-regularised policy gradient, token by token.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <vector>

int main() {
  constexpr infalign::index_t tokens = 1, vocabulary = 3;
  const std::vector<float> policy{0, 0, 0};             // logits: p = (1/3, 1/3, 1/3)
  const std::vector<float> base{std::log(2.0f), 0, 0};  // q = (1/2, 1/4, 1/4)
  const std::vector<std::int32_t> sampled{0};
  const std::vector<double> advantages{2};
  std::vector<float> loss(tokens), kl(tokens), gradient(tokens * vocabulary);

  infalign::token_logits<float> batch;
  batch.policy = infalign::rows<const float>(policy.data(), tokens, vocabulary);
  batch.base = infalign::rows<const float>(base.data(), tokens, vocabulary);
  batch.tokens = sampled;
  infalign::token_statistics<float> statistics;  // what is left empty is not computed
  statistics.loss = loss;
  statistics.kl = kl;
  infalign::objective_weights weights;
  weights.kl = infalign::kl_weight(0.5);
  infalign::simd on;
  infalign::policy_gradient(on, infalign::reinforce{}, batch, advantages, weights, statistics,
                            infalign::rows<float>(gradient.data(), tokens, vocabulary));

  // loss = -2·log(1/3); KL = Σ p·log(p/q); dL/dl₀ = p₀·(2 + 0.5·(log(p₀/q₀) - KL)) - 2, as token 0 was sampled.
  const double exact_kl = (std::log(2.0 / 3) + 2 * std::log(4.0 / 3)) / 3;
  const double first = (2 + 0.5 * (std::log(2.0 / 3) - exact_kl)) / 3 - 2;
  std::printf("loss %.4f, KL %.4f, gradient %.4f %.4f %.4f\n", loss[0], kl[0], gradient[0], gradient[1], gradient[2]);
  const auto equal = [](double x, double y) { return std::abs(x - y) < 1e-6; };
  const bool right = equal(loss[0], 2 * std::log(3.0)) && equal(kl[0], exact_kl) && equal(gradient[0], first);
  return right && equal(gradient[0] + gradient[1] + gradient[2], 0) ? 0 : 1;  // moving all logits alike changes nothing
}
