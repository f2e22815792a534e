// SPDX-License-Identifier: Apache-2.0
// Members that are not named are left out without a warning.
#include <vector>

#include "infalign/infalign.hpp"

int main() {
  const std::vector<float> logits{1, 2, 3, 4};
  const std::vector<std::int32_t> tokens{1};
  std::vector<float> log_prob(1);
  infalign::simd on;
  const infalign::token_statistics<float> out{.log_prob = infalign::span<float>(log_prob)};
  const infalign::token_logits<float> batch{.policy = infalign::rows<const float>(logits.data(), 1, 4),
                                            .tokens = infalign::span<const std::int32_t>(tokens)};
  infalign::compute_token_statistics(on, batch, out);
  const infalign::token_statistics<float> loss{.loss = infalign::span<float>(log_prob)};
  const infalign::objective_weights weights{.kl = infalign::kl_weight(0.1)};
  const infalign::calibration_options options{.ties = infalign::tie_rule::below()};
  (void)loss, (void)weights, (void)options;
  return log_prob[0] < 0 ? 0 : 1;
}
