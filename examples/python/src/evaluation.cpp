// SPDX-License-Identifier: Apache-2.0
#include <infalign/evaluation/expected_reward.hpp>
#include <infalign/evaluation/procedure_win_rate.hpp>

#include "views.hpp"

namespace infalign_python::INFALIGN_PYTHON_ISA {

void win_rate(const ia::executor& run, const win_rate_request& request) {
  with_backend(run, [&](ia::simd& on) {
    with_view(request.policy, [&](auto, auto view) {
      ia::procedure_win_rate(on, view(request.policy), view(request.base), *request.procedure, *request.base_procedure,
                             ia::span<double>(request.out, request.policy.size));
    });
  });
}

void expected_reward(const ia::executor& run, const groups& rewards, const ia::any_procedure& procedure, double* out) {
  with_backend(run, [&](ia::simd& on) {
    with_view(rewards,
              [&](auto, auto view) { ia::expected_reward(on, view(rewards), procedure, ia::span<double>(out, rewards.size)); });
  });
}

}  // namespace infalign_python::INFALIGN_PYTHON_ISA
