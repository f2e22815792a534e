// SPDX-License-Identifier: Apache-2.0
#include <infalign/objective/advantage/best_sample.hpp>
#include <infalign/objective/advantage/expected_reward.hpp>
#include <infalign/objective/advantage/greedy_baseline.hpp>
#include <infalign/objective/advantage/group_normalized.hpp>
#include <infalign/objective/advantage/leave_one_out.hpp>
#include <infalign/objective/advantage/length_weighted.hpp>
#include <infalign/objective/advantage/max_at_k.hpp>
#include <infalign/objective/advantage/mean_centred.hpp>
#include <infalign/objective/advantage/mean_normalized.hpp>
#include <infalign/objective/advantage/nonzero_scaled.hpp>
#include <infalign/objective/advantage/pass_at_k.hpp>
#include <infalign/objective/advantage/win_rate.hpp>

#include "views.hpp"

namespace infalign_python::baseline {

void advantage(const ia::executor& run, const advantage_request& request) {
  const ia::group_options group{request.group.single, request.group.missing};
  with_backend(run, [&](ia::simd& on) {
    with_view(request.rewards, [&]<class T>(T, auto view) {
      const auto rewards = view(request.rewards);
      const auto out = view.out(request.out);
      switch (request.kind) {
        case advantage_kind::leave_one_out: return ia::leave_one_out_advantage(on, rewards, out, group);
        case advantage_kind::mean_centred: return ia::mean_centred_advantage(on, rewards, out, group);
        case advantage_kind::group_normalized: return ia::group_normalized_advantage(on, rewards, out, request.group);
        case advantage_kind::mean_normalized:
          return ia::mean_normalized_advantage(on, rewards, out, request.group.epsilon, request.group.missing);
        case advantage_kind::nonzero_scaled: return ia::nonzero_scaled_advantage(on, rewards, out, group);
        case advantage_kind::best_sample: return ia::best_sample_advantage(on, rewards, out, request.best);
        case advantage_kind::length_weighted: return ia::length_weighted_advantage(on, rewards, view(request.other), out);
        case advantage_kind::greedy_baseline:
          return ia::greedy_baseline_advantage(
              on, rewards, ia::span<const T>(static_cast<const T*>(request.other.data), request.other.total), out);
        case advantage_kind::max_at_k: return ia::max_at_k_advantage(on, rewards, request.k, out);
        case advantage_kind::pass_at_k: return ia::pass_at_k_advantage(on, rewards, request.k, out);
        case advantage_kind::expected_reward:
          return ia::expected_reward_advantage(on, rewards, *request.procedure, out, request.baseline);
        case advantage_kind::win_rate:
          return ia::win_rate_advantage(on, rewards, view(request.other), *request.procedure, *request.base_procedure, out,
                                        request.baseline);
      }
    });
  });
}

}  // namespace infalign_python::baseline
