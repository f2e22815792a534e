// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the aligned policies maximise: the raw reward, or a transform of the calibrated one.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "evaluation.hpp"
#include "infalign/infalign.hpp"
#include "infalign/theory.hpp"
#include "policy_objective.hpp"

namespace align {

/// One way to turn rewards into an objective, and the KL weights that it is run with.
template <class Backend>
struct method {
  using rewards = infalign::rows<const float>;
  using objective = infalign::rows<float>;
  /// `objective = R(rewards)`, given rewards of base samples of the same prompts.
  using objective_function = std::function<void(Backend&, rewards references, rewards, objective)>;

  std::string name;
  std::vector<double> betas;
  /// The objective for a KL weight; only the optimal transforms depend on it.
  std::function<objective_function(double beta)> objective_at;
  /// The predicted KL and win rates of the optimal policy, from rewards of base samples alone.
  std::function<evaluation(Backend&, rewards base, double beta)> predict;
  bool depends_on_beta = false;  ///< whether the objective depends on the KL weight
  policy_objective trained_by = policy_objective::rloo;
  std::string of{};  ///< its name, whatever it is trained by
  /// The advantages, for `win_rate`, which has no objective of single rewards.
  std::function<void(Backend&, rewards references, rewards, objective)> advantages{};
};

/// Makes the methods for one backend.
template <class Backend>
struct method_maker {
  using made = method<Backend>;
  using rewards = typename made::rewards;
  using objective = typename made::objective;
  using objective_function = typename made::objective_function;

  static made raw_reward(std::vector<double> betas) {
    const objective_function copy = [](Backend&, rewards, rewards from, objective to) {
      std::copy_n(from.data(), from.total(), to.data());
    };
    return {"raw", std::move(betas), [copy](double) { return copy; },
            [](Backend& on, rewards base, double beta) {
              return predict_each(base.size(), [&](const auto& procedure, const infalign::off_policy_prompts<>& out) {
                infalign::evaluate_off_policy(on, base, infalign::kl_weight(beta), procedure, procedure, out);
              });
            }};
  }

  /// `transform_at(beta)` is the transform for a KL weight.
  template <class TransformAt>
  static made calibrated(std::string name, const TransformAt& transform_at, std::vector<double> betas) {
    return {std::move(name), std::move(betas),
            [transform_at](double beta) -> objective_function {
              return [transform = transform_at(beta)](Backend& on, rewards references, rewards from, objective to) {
                infalign::calibrate_transform(on, references, from, transform, to);
              };
            },
            [transform_at](Backend& on, rewards base, double beta) {
              const auto transform = transform_at(beta);
              return predict_each(base.size(), [&](const auto& procedure, const infalign::off_policy_prompts<>& out) {
                infalign::evaluate_off_policy(on, base, transform, infalign::kl_weight(beta), procedure, procedure, out);
              });
            }};
  }

  template <infalign::transform_function Transform>
  static made one_transform(std::string name, const Transform& transform, std::vector<double> betas) {
    return calibrated(
        std::move(name), [transform](double) { return transform; }, std::move(betas));
  }

  /// `sign(t)·e^{tu}` divided by its largest size, so that the KL weights of all t are of one order of magnitude.
  static made exponential(double t, std::vector<double> betas) {
    const infalign::exponential transform(t);
    return one_transform(transform.name(), infalign::scaled(transform, std::exp(-std::max(t, 0.0))), std::move(betas));
  }

  /// The best possible transform for `procedure`, which is another one at each KL weight.
  template <infalign::inference_procedure Procedure>
  static made optimal(std::string name, const Procedure& procedure, std::vector<double> betas) {
    made method = calibrated(
        std::move(name),
        [played = infalign::matchup(procedure)](double beta) {
          return infalign::optimal_transform(played, infalign::kl_weight(beta)).table();
        },
        std::move(betas));
    method.depends_on_beta = true;
    return method;
  }

  /// The win rate itself is climbed. What it leads to, and the KL weights for it, are those of the optimal transform.
  template <infalign::inference_procedure Procedure>
  static made win_rate(std::string name, const Procedure& procedure, std::vector<double> betas) {
    made method = optimal(std::move(name), procedure, std::move(betas));
    method.advantages = [procedure](Backend& on, rewards references, rewards from, objective to) {
      infalign::win_rate_advantage(on, from, references, procedure, procedure, to);
    };
    return method;
  }

 private:
  /// The prediction for every procedure. That for plain sampling (i = 0) is part of each of the others.
  template <class Predict>
  static evaluation predict_each(infalign::index_t prompts, const Predict& predict) {
    const std::vector<double> none(static_cast<std::size_t>(prompts));
    evaluation found{none, {}};
    found.win_rate.fill(none);
    for_each_procedure([&](std::size_t i, const auto& procedure) {
      if (i > 0) predict(procedure, {found.kl, found.win_rate[0], found.win_rate[i], {}});
    });
    return found;
  }
};

/// All methods that are compared. The KL weights of each give KLs of about 1.1, 0.7, 0.4 and 0.25. The logarithm is clamped from
/// below, since it is -inf at 0, and with K references a calibrated reward of 0 only says "less than about 1/K".
template <class Backend>
std::vector<method<Backend>> all_methods(std::size_t references) {
  using make = method_maker<Backend>;
  const double smallest = 0.5 / static_cast<double>(references);
  return {make::raw_reward({0.22, 0.31, 0.42, 0.6}),
          make::one_transform("identity", infalign::identity{}, {0.13, 0.21, 0.3, 0.42}),
          make::one_transform("logarithm", infalign::clamped(infalign::logarithm{}, smallest, 1), {0.2, 0.36, 0.6, 1.0}),
          make::exponential(5, {0.23, 0.295, 0.37, 0.48}),
          make::exponential(10, {0.24, 0.285, 0.35, 0.45}),
          make::exponential(-5, {0.025, 0.06, 0.12, 0.22}),
          make::exponential(-10, {0.004, 0.015, 0.05, 0.12}),
          make::optimal("optimal best", infalign::best_of{4}, {0.093, 0.18, 0.32, 0.47}),
          make::optimal("optimal worst", infalign::worst_of{4}, {0.06, 0.215, 0.51, 0.79})};
}

/// The methods to be trained. By the first objective they have their plain names if it is the only one.
template <class Backend>
std::vector<method<Backend>> chosen_methods(const selection& what, std::size_t references) {
  using make = method_maker<Backend>;
  std::vector<method<Backend>> known = all_methods<Backend>(references), chosen;
  if (std::find(what.objectives.begin(), what.objectives.end(), policy_objective::win_rate) != what.objectives.end()) {
    known.push_back(make::win_rate("win rate best", infalign::best_of{4}, {0.093, 0.18, 0.32, 0.47}));
    known.push_back(make::win_rate("win rate worst", infalign::worst_of{4}, {0.06, 0.215, 0.51, 0.79}));
  }
  for (const std::string& name : what.methods)
    if (std::none_of(known.begin(), known.end(), [&](const auto& m) { return m.name == name; }))
      throw std::invalid_argument("--method knows no '" + name + "'" +
                                  (name.starts_with("win rate") ? ", which needs --objective win-rate" : ""));
  std::vector<policy_objective> by;
  for (const policy_objective o : what.objectives)
    if (o != policy_objective::win_rate) by.push_back(o);
  if (by.empty()) by.push_back(policy_objective::rloo);
  for (const method<Backend>& m : known) {
    if (!what.methods.empty() && std::find(what.methods.begin(), what.methods.end(), m.name) == what.methods.end()) continue;
    for (const policy_objective o : by) {
      chosen.push_back(m);
      chosen.back().of = m.name;
      chosen.back().trained_by = m.advantages ? policy_objective::win_rate : o;
      if (by.size() > 1 && !m.advantages) chosen.back().name += ", " + name_of(o);
      if (m.advantages) break;
    }
  }
  return chosen;
}

}  // namespace align
