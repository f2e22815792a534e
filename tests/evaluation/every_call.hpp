// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every estimate from samples, called once: see support/call_data.hpp.
#pragma once

#include "infalign/evaluation/curve.hpp"
#include "infalign/evaluation/expected_reward.hpp"
#include "infalign/evaluation/expected_transform.hpp"
#include "infalign/evaluation/hedge.hpp"
#include "infalign/evaluation/off_policy.hpp"
#include "infalign/evaluation/preference_win_rate.hpp"
#include "infalign/evaluation/procedure_win_rate.hpp"
#include "infalign/evaluation/tilted_win_rate.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/best_of_poisson.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "infalign/statistics/summarize.hpp"
#include "infalign/transform/exponential.hpp"
#include "support/call_data.hpp"

namespace infalign::test {

template <class C>
class evaluation_calls {
 public:
  using T = typename C::value;

  template <class B>
  void run(B& on) {
    using enum rank_algorithm;
    const auto base = z_.rows(prompts, k);
    const auto policy = y_.rows(prompts, m);
    procedure_win_rate(on, policy, base, best_of(4), standard(), wins_[0].span(), counting);
    procedure_win_rate(on, y_.ragged(y_offsets_), z_.ragged(z_offsets_), worst_of(2), worst_of(2), wins_[1].span(), sorting);
    tilted_win_rate(on, base, kl_weight(0.5), best_of(2), standard(), wins_[2].span(), wins_[3].span());
    predicted_[0] = evaluate_off_policy(on, z_.rows(few_prompts, k), exponential(3), kl_weight(5), best_of(2), standard(),
                                        {.kl = off_policy_[0].span(), .inference_win_rate = off_policy_[1].span()});
    predicted_[1] = evaluate_off_policy(on, few_.ragged(few_offsets_), kl_weight(0.5), worst_of(2), worst_of(2));
    procedure_win_rate(on, policy, z_.ragged(z_offsets_), best_of_poisson(1.5), standard(), wins_[4].span());
    standard_win_rate(on, policy, base, wins_[5].span());
    expected_reward(on, policy, best_of(3), wins_[6].span(), counting);
    expected_reward(on, y_.ragged(y_offsets_), worst_of(2), wins_[7].span(), sorting);
    preference_win_rate(on, judged_.ragged(y_offsets_), wins_[8].span());
    win_rate_curve(on, policy, z_.ragged(z_offsets_), curves_[0].rows(prompts, steps), curve_of::best, curve_base::same,
                   sorting);
    expected_reward_curve(on, y_.ragged(y_offsets_), curves_[1].rows(prompts, steps), curve_of::worst, counting);
    proxy_reward_curve(on, policy, judged_.rows(prompts, m), curves_[2].rows(prompts, steps));
    proxy_win_rate_curve(on, policy, judged_.rows(prompts, m), curves_[3].rows(prompts, steps));
    using space = typename C::backend::memory_space;
    best_of_poisson_curve(on, rows<const double, space>(curves_[2].rows(prompts, steps)),
                          span<const double, space>(means_.span()), curves_[4].rows(prompts, steps));
    const double lambdas[] = {5, 20, 100};
    soft_best_of_curve(on, few_.rows(6, k), few_.rows(6, k), 2, lambdas, curves_[5].rows(6, steps));
    corrected_transform(on, base, policy, unbiased_exponential(3), phi_[0].rows(prompts, m), phi_[1].rows(prompts, m));
    mean_ = summarize(on, wins_[0].span());
    whole_ = summary_of(on, wins_[1].span());
  }
  [[nodiscard]] call_results results() const {
    call_results all;
    for (const auto* group : {&wins_, &off_policy_, &curves_})
      for (const auto& a : *group) all.push_back(result_of(a));
    for (const auto& a : phi_) all.push_back(result_of(a));
    all.push_back({unit, {mean_.value, mean_.standard_error}});
    all.push_back({unit, {whole_.mean, whole_.m2}});
    for (const off_policy_evaluation& e : predicted_) {
      for (const off_policy_value& v : {e.kl, e.standard_win_rate, e.inference_win_rate})
        all.push_back({unit,
                       {v.corrected.value, v.corrected.standard_error, v.plug_in.value, v.plug_in.standard_error,
                        std::min(v.of_halves, 1.0), v.unseen}});
      all.push_back({unit, {e.effective_samples.value, static_cast<double>(e.thin_prompts)}});
    }
    return all;
  }

 private:
  template <class U>
  using array = typename C::template array<U>;
  static constexpr index_t prompts = many_groups, k = 40, m = 11;
  static constexpr index_t few_prompts = many_groups / 10, steps = 3;  // of what takes longest
  static constexpr double unit = sizeof(T) == 4 ? 0x1p-23 : 0x1p-52;

  array<T> z_{tied_values<T>(prompts * k, 1, 30)}, y_{tied_values<T>(prompts * m, 2, 30)};
  array<T> judged_{tied_values<T>(prompts * m, 3, 2)};  // 0 or 1
  array<T> few_{tied_values<T>(few_prompts * k, 1, 30)};
  array<index_t> few_offsets_{alternating_offsets(few_prompts, k)};
  array<index_t> z_offsets_{alternating_offsets(prompts, k)}, y_offsets_{alternating_offsets(prompts, m)};
  std::vector<array<double>> wins_ = std::vector<array<double>>(9, array<double>(prompts));
  std::vector<array<double>> off_policy_ = std::vector<array<double>>(2, array<double>(few_prompts));
  std::vector<array<double>> curves_ = std::vector<array<double>>(6, array<double>(prompts* steps));
  std::vector<array<T>> phi_ = std::vector<array<T>>(2, array<T>(prompts* m));
  array<double> means_{std::vector<double>{0, 0.5, 2}};
  estimate mean_{};
  summary whole_{};
  off_policy_evaluation predicted_[2];
};

}  // namespace infalign::test
