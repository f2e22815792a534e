// SPDX-License-Identifier: Apache-2.0
/// \file
/// What training works towards, without training: the optimal policies in closed form, on base samples of the held-out prompts, and
/// the win rates that no policy can exceed.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "evaluation.hpp"
#include "infalign/infalign.hpp"
#include "infalign/theory.hpp"
#include "methods.hpp"
#include "scenario.hpp"

namespace align {

struct closed_form_point {
  std::string method;
  double beta = 0;
  double kl = 0;
  std::array<double, n_procedures> win_rate{};
};

/// For each procedure, the win rate of its optimal transform at a KL. If rewards are continuous, no policy of that KL exceeds it.
/// That is proved for plain sampling and best of 4; for worst of 4 it is the best of all stationary points that a scan found.
struct limit_point {
  double kl = 0;
  std::array<double, n_procedures> win_rate{};
};

inline std::vector<limit_point> theoretical_limit(const std::vector<double>& kls) {
  std::vector<limit_point> points;
  for (const double kl : kls) {
    points.push_back({kl, {}});
    for_each_procedure([&](std::size_t i, const auto& procedure) {
      points.back().win_rate[i] =
          infalign::optimal_at_kl(infalign::matchup(procedure), infalign::kl_budget(kl)).value().win_rate();
    });
  }
  return points;
}

inline double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The optimal policies of one method over a range of β, all prompts sharing β.
template <class Backend>
class closed_form_frontier {
 public:
  closed_form_frontier(const Backend& on, const scenario& from, const method<Backend>& how)
      : on_(on), how_(how), rewards_(from.closed_form), objective_(from.closed_form) {
    for (std::size_t p = 0; p < rewards_.prompts(); ++p) {
      const auto first = rewards_.values.begin() + static_cast<std::ptrdiff_t>(p * rewards_.per_prompt);
      std::sort(first, first + static_cast<std::ptrdiff_t>(rewards_.per_prompt));  // sorting an order again is quicker
    }
    kl_.resize(rewards_.prompts());
    win_rate_.resize(rewards_.prompts());
  }

  /// The policy whose mean KL is `kl`; β is found by the secant method on log β against log KL, which is nearly a line.
  closed_form_point at_kl(double kl) {
    double x0 = std::log(beta_), y0 = std::log(mean_kl(beta_) / kl);
    double x1 = x0 + 0.7 * y0;
    for (int i = 0; i < 30; ++i) {
      const double y1 = std::log(mean_kl(std::exp(x1)) / kl);
      if (std::abs(y1) < 1e-5 || y1 == y0) break;
      const double next = x1 - std::clamp(y1 * (x1 - x0) / (y1 - y0), -1.0, 1.0);
      x0 = x1, y0 = y1, x1 = next;
    }
    beta_ = std::exp(x1);
    return at_beta(beta_);
  }

 private:
  /// The KL of the policy for β, and its objective.
  double mean_kl(double beta) {
    if (!has_objective_ || how_.depends_on_beta) {
      const auto base = rewards_.rows();
      how_.objective_at(beta)(on_, base, base, infalign::rows<float>(objective_.values.data(), base.size(), base.columns()));
      has_objective_ = true;
    }
    infalign::tilted_win_rate(on_, objective_.rows(), infalign::kl_weight(beta), infalign::standard{}, infalign::standard{},
                              win_rate_, kl_);
    return mean(kl_);
  }

  closed_form_point at_beta(double beta) {
    closed_form_point point{how_.name, beta, mean_kl(beta), {}};
    for_each_procedure([&](std::size_t i, const auto& procedure) {
      infalign::tilted_win_rate(on_, objective_.rows(), infalign::kl_weight(beta), procedure, procedure, win_rate_,
                                infalign::span<double>());
      point.win_rate[i] = mean(win_rate_);
    });
    return point;
  }

  Backend on_;
  const method<Backend>& how_;
  reward_table rewards_, objective_;
  bool has_objective_ = false;
  double beta_ = 0.5;
  std::vector<double> kl_, win_rate_;
};

}  // namespace align
