// SPDX-License-Identifier: Apache-2.0
#include <infalign/evaluation/curve.hpp>
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

void curve(const ia::executor& run, const curve_request& request) {
  const ia::rows<double> out = as_rows<double>().out(request.out);
  const ia::curve_of served = request.worst ? ia::curve_of::worst : ia::curve_of::best;
  const ia::curve_base base = request.base_one_sample ? ia::curve_base::one_sample : ia::curve_base::same;
  with_backend(run, [&](ia::simd& on) {
    with_view(request.rewards, [&](auto, auto view) {
      if (request.base == nullptr) return ia::expected_reward_curve(on, view(request.rewards), out, served);
      ia::win_rate_curve(on, view(request.rewards), view(*request.base), out, served, base);
    });
  });
}

}  // namespace infalign_python::INFALIGN_PYTHON_ISA
