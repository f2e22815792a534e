// SPDX-License-Identifier: Apache-2.0
#include <infalign/evaluation/off_policy.hpp>
#include <infalign/evaluation/tilted_win_rate.hpp>

#include "views.hpp"

namespace infalign_python::baseline {

ia::off_policy_evaluation evaluate_off_policy(const ia::executor& run, const off_policy_request& request) {
  const auto column = [&](int i) {
    return ia::span<double>(request.prompts[i], request.prompts[i] == nullptr ? 0 : request.rewards.size);
  };
  const ia::off_policy_prompts<> prompts{column(0), column(1), column(2), column(3)};
  return with_backend(run, [&](ia::simd& on) {
    return with_view(request.rewards, [&](auto, auto view) {
      const ia::kl_weight beta(request.beta);
      if (request.transform == nullptr)
        return ia::evaluate_off_policy(on, view(request.rewards), beta, *request.procedure, *request.base_procedure, prompts);
      return ia::evaluate_off_policy(on, view(request.rewards), *request.transform, beta, *request.procedure,
                                     *request.base_procedure, prompts);
    });
  });
}

void tilted_win_rate(const ia::executor& run, const off_policy_request& request) {
  const index_t n = request.rewards.size;
  with_backend(run, [&](ia::simd& on) {
    with_view(request.rewards, [&](auto, auto view) {
      ia::tilted_win_rate(on, view(request.rewards), ia::kl_weight(request.beta), *request.procedure, *request.base_procedure,
                          ia::span<double>(request.prompts[2], n), ia::span<double>(request.prompts[0], n));
    });
  });
}

}  // namespace infalign_python::baseline
