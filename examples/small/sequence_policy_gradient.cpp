// SPDX-License-Identifier: Apache-2.0
// The policy gradient of whole responses: a token is also held responsible for the KL of the tokens that follow it.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <vector>

int main() {
  constexpr infalign::index_t tokens = 2, vocabulary = 2;
  const std::vector<float> policy(tokens * vocabulary, 0.0f);                 // logits: p = (1/2, 1/2) for both tokens
  const std::vector<float> base{std::log(3.0f), 0.0f, std::log(3.0f), 0.0f};  // q = (3/4, 1/4)
  const std::vector<std::int32_t> sampled{1, 1};
  const std::vector<infalign::index_t> offsets{0, tokens};  // one response: tokens 0 and 1
  const std::vector<double> advantages{1};                  // one a response
  std::vector<float> gradient(tokens * vocabulary);

  infalign::token_logits<float> batch;
  batch.policy = infalign::rows<const float>(policy.data(), tokens, vocabulary);
  batch.base = infalign::rows<const float>(base.data(), tokens, vocabulary);
  batch.tokens = sampled;
  infalign::objective_weights weights;
  weights.kl = infalign::kl_weight(0.5);
  infalign::simd on;
  infalign::sequence_policy_gradient(on, batch, offsets, advantages, weights, infalign::token_statistics<float>{},
                                     infalign::rows<float>(gradient.data(), tokens, vocabulary));

  // KL of a token: log(4/3)/2. Its own term has d KL/dl₁ = p₁·(log(p₁/q₁) - KL); score weights: 1 - β·KL, then 1.
  const double kl = 0.5 * std::log(4.0 / 3), of_kl = 0.5 * (std::log(2.0) - kl);
  const auto exact = [&](double later_kl) { return -(1 - 0.5 * later_kl) * 0.5 + 0.5 * of_kl; };
  std::printf("gradient of the sampled logits: %.4f, then %.4f\n", gradient[1], gradient[3]);
  return std::abs(gradient[1] - exact(kl)) < 1e-6 && std::abs(gradient[3] - exact(0)) < 1e-6 ? 0 : 1;
}
