// SPDX-License-Identifier: Apache-2.0
/// \file
/// KL-regularised policy gradient on the training prompts.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include "adam.hpp"
#include "infalign/infalign.hpp"
#include "methods.hpp"
#include "rollout.hpp"
#include "scenario.hpp"

namespace align {

struct training_options {
  std::size_t prompts_per_step = 64;
  std::size_t rollouts_per_prompt = 8;
  double learning_rate = 3e-3;
};

/// Trains one policy, from the base policy on, for one KL weight after another.
template <class Backend>
class policy_trainer {
 public:
  policy_trainer(const Backend& on, const scenario& from, const method<Backend>& how, const training_options& options,
                 random_stream random)
      : on_(on),
        from_(from),
        how_(how),
        options_(options),
        random_(random),
        policy_(from.base),
        optimizer_(policy_.parameters().size()),
        order_(from.prompts.train.size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    next_prompt_ = order_.size();
  }

  [[nodiscard]] const language_model<float>& policy() const { return policy_; }

  /// `steps` steps, the learning rate falling to 0. Calls `done()` after each.
  template <class Done>
  void train(double beta, int steps, Done&& done) {
    objective_ = how_.objective_at(beta);
    // Rewards in units of their deviation take a KL weight in these units.
    const double weight = how_.trained_by == policy_objective::grpo ? beta / deviation_over_base() : beta;
    for (int i = 0; i < steps; ++i) {
      step(weight, options_.learning_rate * (1 - static_cast<double>(i) / steps));
      done();
    }
  }

 private:
  /// The standard deviation of the objective over base samples of a prompt, in the mean over prompts.
  double deviation_over_base() {
    const infalign::rows<const float> base = from_.calibration.rows();
    std::vector<float> values(from_.calibration.values.size());
    objective_(on_, base, base, {values.data(), base.size(), base.columns()});
    double sum = 0;
    for (infalign::index_t p = 0; p < base.size(); ++p) {
      const Eigen::Map<const Eigen::ArrayXf> of_prompt(values.data() + p * base.columns(), base.columns());
      sum += std::sqrt(static_cast<double>((of_prompt - of_prompt.mean()).square().mean()));
    }
    return sum / static_cast<double>(base.size());
  }

  /// Updates by fresh rollouts. From the second on, the policy is no longer the one that drew them.
  void step(double beta, double learning_rate) {
    draw_rollouts();
    score_rollouts();
    for (int update = 0; update < updates_of(how_.trained_by); ++update) {
      if (update > 0) policy_.forward(rollouts_.at, 0, rollouts_.n_tokens());
      policy_gradient(infalign::kl_weight(beta), update == 0);
      policy_.backward(rollouts_.at, logit_gradient_, rollouts_.n_tokens(), gradient_);
      optimizer_.step(policy_.parameters(), gradient_, learning_rate);
    }
  }

  /// Prompts come in random order, all of them before any comes again.
  void draw_rollouts() {
    chosen_.clear();
    prefixes_.clear();
    while (chosen_.size() < options_.prompts_per_step) {
      if (next_prompt_ == order_.size()) {
        random_.shuffle(order_);
        next_prompt_ = 0;
      }
      chosen_.push_back(order_[next_prompt_++]);
      prefixes_.insert(prefixes_.end(), options_.rollouts_per_prompt, from_.prompts.train[chosen_.back()].prefix);
    }
    sample_(policy_, prefixes_, random_, rollouts_);
  }

  /// The advantage of every rollout: its calibrated and transformed reward, less a baseline; or its share in the win rate.
  void score_rollouts() {
    const std::vector<float> rewards = from_.reward(rollouts_.words);
    const std::size_t k = from_.calibration.per_prompt;
    references_.clear();
    for (const std::size_t p : chosen_) {
      const auto first = from_.calibration.values.begin() + static_cast<std::ptrdiff_t>(p * k);
      references_.insert(references_.end(), first, first + static_cast<std::ptrdiff_t>(k));
    }
    const auto prompts = static_cast<infalign::index_t>(chosen_.size());
    const auto n = static_cast<infalign::index_t>(options_.rollouts_per_prompt);
    advantages_.resize(rewards.size());
    const infalign::rows<float> advantages(advantages_.data(), prompts, n), all(advantages_.data(), 1, prompts * n);
    const infalign::rows<const float> references(references_.data(), prompts, static_cast<infalign::index_t>(k));
    const infalign::rows<const float> of_rollouts(rewards.data(), prompts, n);
    if (how_.advantages) return how_.advantages(on_, references, of_rollouts, advantages);
    objective_(on_, references, of_rollouts, advantages);
    if (how_.trained_by == policy_objective::reinforce)
      infalign::leave_one_out_advantage(on_, all, all);
    else if (how_.trained_by == policy_objective::grpo)
      infalign::group_normalized_advantage(on_, advantages, advantages);
    else
      infalign::leave_one_out_advantage(on_, advantages, advantages);
  }

  /// The gradient with respect to the logits, in the order of the activations. `first`: of the policy that drew the rollouts.
  void policy_gradient(infalign::kl_weight beta, bool first) {
    const Index n = rollouts_.n_tokens();
    base_.reserve(n);
    reserve_columns(logits_, n);
    reserve_columns(logit_gradient_, n);
    for (Index i = 0; i < n; ++i) {
      const Index column = rollouts_.position[static_cast<std::size_t>(i)];
      base_.features[static_cast<std::size_t>(i)] = rollouts_.at.features[static_cast<std::size_t>(column)];
      logits_.col(i) = rollouts_.at.logits.col(column);
    }
    from_.base.forward(base_, 0, n);
    const infalign::rows<float> policy(logits_.data(), n, logit_columns);
    const infalign::rows<const float> base(base_.logits.data(), n, logit_columns);
    const double share = 1.0 / static_cast<double>(rollouts_.words.size());
    const infalign::token_logits<float> batch{policy, base, rollouts_.tokens};
    const infalign::objective_weights weights{.kl = beta, .scale = share};
    const auto update = [&](const auto& loss, const auto& data) {
      infalign::sequence_policy_gradient(on_, loss, batch, rollouts_.offsets, data, weights,
                                         infalign::token_statistics<float>{}, policy);
    };
    if (updates_of(how_.trained_by) > 1) {
      old_log_prob_.resize(rollouts_.tokens.size());
      if (first) infalign::compute_token_statistics(on_, batch, infalign::token_statistics<float>{.log_prob = old_log_prob_});
      const infalign::token_data data(advantages_, old_log_prob_);
      if (how_.trained_by == policy_objective::ppo_clip)
        update(infalign::clipped_surrogate(0.2, 0.2), data);
      else
        update(infalign::gspo(0.2, 0.2), data);
    } else {
      update(infalign::reinforce{}, advantages_);
    }
    for (Index i = 0; i < n; ++i) logit_gradient_.col(rollouts_.position[static_cast<std::size_t>(i)]) = logits_.col(i);
  }

  static void reserve_columns(activations<float>::logit_matrix& m, Index n) {
    if (m.cols() < n) m.resize(logit_columns, n);
  }

  Backend on_;
  const scenario& from_;
  const method<Backend>& how_;
  training_options options_;
  random_stream random_;
  language_model<float> policy_;
  adam<float> optimizer_;
  sampler sample_;
  typename method<Backend>::objective_function objective_;

  std::vector<std::size_t> order_;
  std::size_t next_prompt_;
  // Kept from step to step for their memory.
  std::vector<std::size_t> chosen_;
  std::vector<word> prefixes_;
  rollouts rollouts_;
  std::vector<float> references_, advantages_, old_log_prob_;
  activations<float> base_;
  activations<float>::logit_matrix logits_, logit_gradient_;
  Eigen::VectorXf gradient_;
};

}  // namespace align
