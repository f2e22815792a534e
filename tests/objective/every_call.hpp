// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every objective, called once: see support/call_data.hpp.
#pragma once

#include <cstdint>

#include "infalign/core/storage.hpp"
#include "infalign/objective/advantage/best_sample.hpp"
#include "infalign/objective/advantage/expected_reward.hpp"
#include "infalign/objective/advantage/generalized.hpp"
#include "infalign/objective/advantage/greedy_baseline.hpp"
#include "infalign/objective/advantage/group_normalized.hpp"
#include "infalign/objective/advantage/leave_one_out.hpp"
#include "infalign/objective/advantage/length_weighted.hpp"
#include "infalign/objective/advantage/max_at_k.hpp"
#include "infalign/objective/advantage/mean_centred.hpp"
#include "infalign/objective/advantage/mean_normalized.hpp"
#include "infalign/objective/advantage/nonzero_scaled.hpp"
#include "infalign/objective/advantage/optimal_token_baseline.hpp"
#include "infalign/objective/advantage/pass_at_k.hpp"
#include "infalign/objective/advantage/returns.hpp"
#include "infalign/objective/advantage/whiten.hpp"
#include "infalign/objective/advantage/win_rate.hpp"
#include "infalign/objective/aggregation.hpp"
#include "infalign/objective/importance_weights.hpp"
#include "infalign/objective/losses.hpp"
#include "infalign/objective/policy_gradient.hpp"
#include "infalign/objective/policy_summary.hpp"
#include "infalign/objective/preference/best_and_worst.hpp"
#include "infalign/objective/preference/served_weights.hpp"
#include "infalign/objective/preference_gradient.hpp"
#include "infalign/objective/preference_losses.hpp"
#include "infalign/objective/sequence_policy_gradient.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/standard.hpp"
#include "support/call_data.hpp"

namespace infalign::test {

/// The losses that no other call has, all at once: one kernel compiles them for every backend.
struct sum_of_losses {
  static constexpr bool needs_old_log_prob = true;
  static constexpr bool needs_base = true;
  gspo sequence_clip{0.1, 0.2, {.dual_clip = 3, .log_ratio = {.high = 10}}};
  response_surrogate product_clip{0.1, 0.2};
  cispo weighted{0.8, 1.2, {-20, 20}};
  sapo gate;
  gmpo geometric_mean{0.4, 0.4};
  vespo gamma;
  loss_with_kl<weighted_loss<reinforce>> corrected =
      with_kl(importance_weighted(reinforce{}, {.high = 2}), {.beta = kl_weight(0.1)});

  INFALIGN_HD double sequence_term(const token_row& row) const {
    return geometric_mean.sequence_term(row) + gamma.sequence_term(row);
  }
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    const loss_value losses[] = {sequence_clip(row),  product_clip(row), weighted(row), gate(row),
                                 geometric_mean(row), gamma(row),        corrected(row)};
    loss_value sum{};
    for (const loss_value& v : losses) sum.value += v.value, sum.by_log_prob += v.by_log_prob;
    return sum;
  }
};

/// The preference losses likewise.
struct sum_of_preference_losses {
  static constexpr bool needs_base_log_prob = true;
  dpo logistic{kl_weight(0.1)};
  conservative_dpo smoothed{kl_weight(0.1), 0.1};
  robust_dpo robust{kl_weight(0.1), 0.1};
  preference_hinge hinge{kl_weight(0.1)};
  ipo squared{kl_weight(0.1), log_ratio_of::token};
  sppo_hard against_both{kl_weight(0.1)};
  bonbon best_of_8{8};

  INFALIGN_HD pair_value operator()(const response_row& chosen, const response_row& rejected) const {
    const pair_value losses[] = {detail::loss_of_pair(logistic, chosen, rejected),
                                 detail::loss_of_pair(smoothed, chosen, rejected),
                                 detail::loss_of_pair(robust, chosen, rejected),
                                 detail::loss_of_pair(hinge, chosen, rejected),
                                 squared(chosen, rejected),
                                 against_both(chosen, rejected),
                                 best_of_8(chosen, rejected)};
    pair_value sum{};
    for (const pair_value& v : losses) sum.value += v.value, sum.by_chosen += v.by_chosen, sum.by_rejected += v.by_rejected;
    return sum;
  }
};
struct sum_of_response_losses {
  static constexpr bool needs_base_log_prob = true;
  qrpo regression{kl_weight(0.1), 2};
  weighted_sft likelihood;

  INFALIGN_HD response_value operator()(const response_row& y) const {
    const response_value a = regression(y), b = likelihood(y);
    return {a.value + b.value, a.by_log_prob + b.by_log_prob};
  }
};

template <class C>
class objective_calls {
 public:
  using T = typename C::value;

  template <class B>
  void run(B& on) {
    leave_one_out_advantage(on, rewards_.rows(prompts, m), centred_.rows(prompts, m));
    const token_logits<T, space> batch{logits_.rows(tokens, vocabulary), base_.rows(tokens, vocabulary), ids_.span()};
    const token_logits<bfloat16, space> narrow{narrow_.rows(tokens, vocabulary), {}, ids_.span()};
    const objective_weights weights{.kl = kl_weight(0.1), .entropy = entropy_weight(0.01)};
    group_normalized_advantage(on, rewards_.rows(prompts, m), normalized_.rows(prompts, m));
    policy_gradient(on, clipped_surrogate(0.2, 0.3), batch,
                    token_data(advantages_.span(), old_.span()).weighted_by(old_.span()), weights, statistics(statistics_, 0),
                    gradient_[2].rows(tokens, vocabulary));
    policy_gradient(on, reinforce(), batch, advantages_.span(), weights, statistics(statistics_, 1),
                    gradient_[0].rows(tokens, vocabulary));
    policy_gradient(on, reinforce(), narrow, advantages_.span(), {.kl = kl_weight(0)}, statistics(narrow_statistics_, 0),
                    narrow_gradient_.rows(tokens, vocabulary));
    sequence_policy_gradient(on, batch, rollout_offsets_.span(), rollout_advantages_.span(), weights,
                             statistics(statistics_, 2), gradient_[1].rows(tokens, vocabulary));
    importance_weights(on, logits_.rows(tokens, vocabulary), base_.rows(tokens, vocabulary),
                       {.level = weight_level::sequence_mean}, weights_.rows(tokens, vocabulary));
    sequence_policy_gradient(on, sum_of_losses(), batch, rollout_offsets_.span(),
                             token_data(rollout_advantages_.span(), old_.span()), weights, statistics(statistics_, 3),
                             gradient_[3].rows(tokens, vocabulary));
    leave_one_out_advantage(on, rewards_.ragged(reward_offsets_), ragged_.ragged(reward_offsets_));
    const policy_summary s =
        summarize_policy(on, policy_tokens<T, space>{advantages_.span(), old_.span(), advantages_.span(), {}, old_.span(), {}});
    summary_ = {s.clip_fraction(), s.approximate_kl_k3(), s.ratio_mean(), s.entropy_mean(), s.effective_sample_size()};
    run_advantages(on);
    run_preferences(on, batch);
  }
  [[nodiscard]] call_results results() const {
    call_results all{result_of(centred_), result_of(normalized_), result_of(ragged_), result_of(narrow_gradient_),
                     result_of(weights_)};
    for (const auto* group : {&statistics_, &gradient_, &preferences_})
      for (const auto& a : *group) all.push_back(result_of(a));
    all.push_back({0x1p-52, summary_});
    for (const auto& a : more_) all.push_back(result_of(a));
    for (const auto& a : narrow_statistics_) all.push_back({0x1p-23, result_of(a).values});  // computed in float
    return all;
  }

 private:
  template <class B>
  void run_advantages(B& on) {
    const auto rewards = rewards_.rows(prompts, m);
    auto out = [this](std::size_t call) { return more_[call].rows(prompts, m); };
    mean_centred_advantage(on, rewards, out(0), {.missing = missing_reward::left_out()});
    mean_normalized_advantage(on, rewards, out(1));
    nonzero_scaled_advantage(on, rewards, out(2));
    length_weighted_advantage(on, rewards, lengths_.rows(prompts, m), out(3));
    greedy_baseline_advantage(on, rewards, greedy_.span(), out(4));
    expected_reward_advantage(on, rewards, best_of(4), out(5), subset_baseline::none);
    max_at_k_advantage(on, rewards, 3, out(6));
    const auto unequal = rewards_.ragged(reward_offsets_);
    win_rate_advantage(on, unequal, base_rewards_.rows(prompts, 3), best_of(4), standard(), more_[7].ragged(reward_offsets_));
    best_sample_advantage(on, rewards, out(8));
    pass_at_k_advantage(on, verdicts_.rows(prompts, m), 3, out(9));
    discounted_returns(on, rewards, 0.9, out(10));
    generalized_advantage(on, rewards, out(10), {}, out(11), out(12), lengths_.rows(prompts, m));
    whiten(on, out(11), out(13), {}, lengths_.rows(prompts, m));
    optimal_token_baseline_advantage(on, out(10), rewards, responses_.span(), out(14));
    const auto mask = verdicts_.rows(prompts, m);
    aggregation_weights(on, mask, aggregation::sequence_mean_of_token_means, count_responses(on, mask), out(15));
  }

  template <class B, class Batch>
  void run_preferences(B& on, const Batch& batch) {
    best_and_worst(on, rewards_.rows(prompts, m), best_and_worst_.span());
    served_weights(on, rewards_.rows(prompts, m), best_of(4), more_[16].rows(prompts, m));
    const auto of = responses(rollout_offsets_.span()).weighted_by(advantages_.span()).with_rewards(rollout_advantages_.span());
    const preference_statistics<T, space> paired{preferences_[0].span(), preferences_[1].span(), preferences_[2].span(),
                                                 preferences_[3].span()};
    preference_gradient(on, sum_of_preference_losses(), batch, of, pairs_.span(), 0.5, paired,
                        gradient_[4].rows(tokens, vocabulary));
    const preference_statistics<T, space> single{.loss = preferences_[4].span()};
    response_gradient(on, sum_of_response_losses(), batch, of, 0.5, single, gradient_[5].rows(tokens, vocabulary));
    const auto log_probs = response_log_probs(rollout_advantages_.span()).with_base(base_log_prob_.span());
    const preference_statistics<T, space> given{.loss = preferences_[5].span()};
    preference_losses(on, sum_of_preference_losses(), log_probs, pairs_.span(), 0.5, given, preferences_[6].span());
    response_losses(on, sum_of_response_losses(), log_probs, 0.5, preference_statistics<T, space>{}, preferences_[7].span());
  }

  template <class U>
  using array = typename C::template array<U>;
  using space = typename C::backend::memory_space;
  static constexpr index_t prompts = many_groups, m = 11, tokens = 12, vocabulary = 5003, rollouts = 4;

  static token_statistics<T, space> statistics(std::vector<array<T>>& of, std::size_t call) {
    return {of[4 * call].span(), of[4 * call + 1].span(), of[4 * call + 2].span(), of[4 * call + 3].span()};
  }
  static std::vector<std::int32_t> token_ids() {
    std::vector<std::int32_t> ids;
    for (index_t t = 0; t < tokens; ++t) ids.push_back(static_cast<std::int32_t>(t * 997 % vocabulary));
    return ids;
  }
  static std::vector<bfloat16> narrowed() {
    std::vector<bfloat16> values;
    for (const float x : normal_values<float>(tokens * vocabulary, 9)) values.push_back(static_cast<bfloat16>(x));
    return values;
  }

  array<T> rewards_{tied_values<T>(prompts * m, 2, 30)}, centred_ = array<T>(prompts * m), normalized_ = array<T>(prompts * m),
                                                         ragged_ = array<T>(prompts * m);
  array<index_t> reward_offsets_{alternating_offsets(prompts, m)};
  array<std::int32_t> lengths_{tied_values<std::int32_t>(prompts * m, 3, 90)};
  array<T> base_rewards_{tied_values<T>(prompts * 3, 10, 30)};
  array<index_t> responses_{equal_offsets(prompts / 4, 4)};
  array<T> verdicts_{tied_values<T>(prompts * m, 11, 2)};
  array<T> greedy_{tied_values<T>(prompts, 4, 30)};
  std::vector<array<T>> more_ = std::vector<array<T>>(17, array<T>(prompts* m));
  array<T> logits_{normal_values<T>(tokens * vocabulary, 5)}, base_{normal_values<T>(tokens * vocabulary, 6)};
  array<bfloat16> narrow_{narrowed()}, narrow_gradient_ = array<bfloat16>(tokens * vocabulary);
  array<std::int32_t> ids_{token_ids()};
  array<T> advantages_{normal_values<T>(tokens, 7)}, rollout_advantages_{normal_values<T>(rollouts, 8)};
  array<T> old_{std::vector<T>(tokens, T(-8.5))};
  array<index_t> rollout_offsets_{equal_offsets(rollouts, tokens / rollouts)};
  std::vector<array<T>> statistics_ = std::vector<array<T>>(16, array<T>(tokens));
  std::vector<array<T>> narrow_statistics_ = std::vector<array<T>>(4, array<T>(tokens));
  std::vector<double> summary_;
  array<T> weights_ = array<T>(tokens * vocabulary);
  std::vector<array<T>> gradient_ = std::vector<array<T>>(6, array<T>(tokens* vocabulary));
  array<response_pair> pairs_{std::vector<response_pair>{{0, 1}, {3, 2}, {3, 0}, {1, 2}}},
      best_and_worst_ = array<response_pair>(prompts);
  array<T> base_log_prob_{std::vector<T>{T(-1), T(0.5), T(1), T(-0.25)}};
  std::vector<array<T>> preferences_ = std::vector<array<T>>(8, array<T>(rollouts));
};

}  // namespace infalign::test
