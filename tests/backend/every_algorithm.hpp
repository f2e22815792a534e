// SPDX-License-Identifier: Apache-2.0
/// \file
/// One call of every algorithm that runs on a backend, on data large enough to be cut into several tasks: what the tests of the
/// backends repeat, count and compare.
#pragma once

#include <cstdint>
#include <infalign/algorithms.hpp>
#include <utility>
#include <vector>

#include "support/configurations.hpp"
#include "support/samples.hpp"

namespace infalign::test {

/// Inputs and outputs of all calls, in the memory of the backend of configuration `C`.
template <class C>
class every_algorithm {
 public:
  using T = typename C::value;

  /// Runs everything. Allocates nothing of its own.
  template <class B>
  void run(B& on) {
    using enum rank_algorithm;
    const auto references = z_.rows(prompts, k);
    const auto rewards = y_.rows(prompts, m);
    calibrate(on, references, rewards, u_[0].rows(prompts, m), {.algorithm = counting});
    calibrate(on, references, rewards, u_[1].rows(prompts, m), {tie_rule::randomized(7), counting});
    calibrate(on, references, rewards, u_[2].rows(prompts, m), {tie_rule::randomized(7), sorting});
    calibrate(on, z_.ragged(z_offsets_), y_.ragged(y_offsets_), u_[3].ragged(y_offsets_), {.ties = tie_rule::below()});
    calibrate_transform(on, references, rewards, exponential(3), u_[4].rows(prompts, m));
    calibrate_weighted(on, references, weights_.rows(prompts, k), rewards, u_[5].rows(prompts, m));
    calibrate_leave_one_out(on, rewards, u_[6].rows(prompts, m), {tie_rule::at_or_below()});
    apply(on, normal_quantile(), unit_.span(), values_.span());
    calibration_standard_error(on, u_[0].rows(prompts, m), references, u_[7].rows(prompts, m));
    leave_one_out_advantage(on, rewards, u_[8].rows(prompts, m));

    procedure_winrate(on, rewards, references, best_of(4), standard(), wins_[0].span(), counting);
    procedure_winrate(on, y_.ragged(y_offsets_), z_.ragged(z_offsets_), worst_of(2), worst_of(2), wins_[1].span(), sorting);
    tilted_winrate(on, references, kl_weight(0.5), best_of(2), standard(), wins_[2].span(), wins_[3].span());
    predicted_[0] = evaluate_off_policy(on, references, exponential(3), kl_weight(5), best_of(2), standard(),
                                        {.kl = wins_[4].span(), .inference_win_rate = wins_[5].span()});
    predicted_[1] = evaluate_off_policy(on, z_.ragged(z_offsets_), kl_weight(0.5), worst_of(2), worst_of(2));
    mean_ = summarize(on, wins_[0].span());

    const token_logits<T, space> batch{logits_.rows(tokens, vocabulary), base_.rows(tokens, vocabulary), ids_.span()};
    const token_logits<bfloat16, space> narrow{narrow_.rows(tokens, vocabulary), {}, ids_.span()};
    const objective_weights weights{.kl = kl_weight(0.1), .entropy = entropy_weight(0.01)};
    compute_token_statistics(on, batch, statistics(statistics_, 0));
    policy_gradient(on, reinforce(), batch, advantages_.span(), weights, statistics(statistics_, 1),
                    gradient_[0].rows(tokens, vocabulary));
    policy_gradient(on, reinforce(), narrow, advantages_.span(), {.kl = kl_weight(0)}, statistics(narrow_statistics_, 0),
                    narrow_gradient_.rows(tokens, vocabulary));
    sequence_policy_gradient(on, batch, rollout_offsets_.span(), rollout_advantages_.span(), weights,
                             statistics(statistics_, 2), gradient_[1].rows(tokens, vocabulary));
  }

  /// What `run` computed in `T`, array by array.
  [[nodiscard]] std::vector<std::vector<double>> results() const {
    std::vector<std::vector<double>> all;
    for (const auto* group : {&u_, &statistics_, &gradient_})
      for (const auto& a : *group) all.push_back(host(a));
    for (const auto& w : wins_) all.push_back(host(w));
    all.push_back(host(values_));
    all.push_back({mean_.value, mean_.standard_error});
    for (const off_policy_evaluation& e : predicted_)
      for (const off_policy_value& v : {e.kl, e.standard_win_rate, e.inference_win_rate})
        all.push_back({v.corrected.value, v.corrected.standard_error, v.plug_in.value, v.plug_in.standard_error});
    for (const off_policy_evaluation& e : predicted_)
      all.push_back({e.effective_samples.value, static_cast<double>(e.thin_prompts)});
    return all;
  }
  /// What it computed from 16-bit logits.
  [[nodiscard]] std::vector<std::vector<double>> narrow_results() const {
    std::vector<std::vector<double>> all{host(narrow_gradient_)};
    for (const auto& a : narrow_statistics_) all.push_back(host(a));
    return all;
  }

 private:
  template <class U>
  using array = typename C::template array<U>;
  using space = typename C::backend::memory_space;

  static constexpr index_t prompts = 1500, k = 40, m = 11, elements = 100'000;
  static constexpr index_t tokens = 12, vocabulary = 5003, rollouts = 4;

  template <class Array>
  static std::vector<double> host(const Array& values) {
    std::vector<double> copy;
    for (const auto& x : values.host())
      copy.push_back(static_cast<double>(static_cast<compute_t<std::remove_cvref_t<decltype(x)>>>(x)));
    return copy;
  }
  static token_statistics<T, space> statistics(std::vector<array<T>>& of, std::size_t call) {
    return {of[4 * call].span(), of[4 * call + 1].span(), of[4 * call + 2].span(), of[4 * call + 3].span()};
  }
  static std::vector<index_t> equal_offsets(index_t n, index_t size) {
    return offsets_of(std::vector<index_t>(static_cast<std::size_t>(n), size));
  }
  /// Sizes size-1, size+1, size-1, …
  static std::vector<index_t> alternating_offsets(index_t n, index_t size) {
    auto offsets = equal_offsets(n, size);
    for (std::size_t i = 1; i < offsets.size(); i += 2) --offsets[i];
    return offsets;
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

  array<T> z_{tied_values<T>(prompts * k, 1, 30)}, y_{tied_values<T>(prompts * m, 2, 30)};
  array<T> weights_{unit_values<T>(prompts * k, 3)};
  array<index_t> z_offsets_{alternating_offsets(prompts, k)}, y_offsets_{alternating_offsets(prompts, m)};
  std::vector<array<T>> u_ = std::vector<array<T>>(9, array<T>(prompts* m));
  array<T> unit_{unit_values<T>(elements, 4)}, values_ = array<T>(elements);
  std::vector<array<double>> wins_ = std::vector<array<double>>(6, array<double>(prompts));
  estimate mean_{};
  off_policy_evaluation predicted_[2];
  array<T> logits_{normal_values<T>(tokens * vocabulary, 5)}, base_{normal_values<T>(tokens * vocabulary, 6)};
  array<bfloat16> narrow_{narrowed()}, narrow_gradient_ = array<bfloat16>(tokens * vocabulary);
  array<std::int32_t> ids_{token_ids()};
  array<T> advantages_{normal_values<T>(tokens, 7)}, rollout_advantages_{normal_values<T>(rollouts, 8)};
  array<index_t> rollout_offsets_{equal_offsets(rollouts, tokens / rollouts)};
  std::vector<array<T>> statistics_ = std::vector<array<T>>(12, array<T>(tokens));
  std::vector<array<T>> narrow_statistics_ = std::vector<array<T>>(4, array<T>(tokens));
  std::vector<array<T>> gradient_ = std::vector<array<T>>(2, array<T>(tokens* vocabulary));
};

}  // namespace infalign::test
