// SPDX-License-Identifier: Apache-2.0
/// \file
/// The frontier that training works towards: the optimal policies in closed form, on base samples of the held-out prompts.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "evaluation.hpp"
#include "infalign/infalign.hpp"
#include "methods.hpp"
#include "scenario.hpp"

namespace align {

struct closed_form_point {
  std::string method;
  double beta = 0;
  double kl = 0;
  std::array<double, n_procedures> win_rate{};
};

inline double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The optimal policies of one method over a range of β, all prompts sharing β.
template <class Backend>
class closed_form_frontier {
 public:
  closed_form_frontier(const scenario& from, const method<Backend>& how) : name_(how.name), table_(from.closed_form) {
    for (std::size_t p = 0; p < table_.prompts(); ++p) {
      const auto first = table_.values.begin() + static_cast<std::ptrdiff_t>(p * table_.per_prompt);
      std::sort(first, first + static_cast<std::ptrdiff_t>(table_.per_prompt));  // later sorts of the same order are quicker
    }
    const reward_table rewards = table_;
    const auto objective = infalign::rows<float>(table_.values.data(), rewards.rows().size(), rewards.rows().columns());
    how.transform(on_, rewards.rows(), rewards.rows(), objective);
    kl_.resize(table_.prompts());
    win_rate_.resize(table_.prompts());
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
  double mean_kl(double beta) {
    infalign::tilted_winrate(on_, table_.rows(), infalign::kl_weight(beta), infalign::standard{}, infalign::standard{},
                             win_rate_, kl_);
    return mean(kl_);
  }

  closed_form_point at_beta(double beta) {
    closed_form_point point{name_, beta, 0, {}};
    for_each_procedure([&](std::size_t i, const auto& procedure) {
      infalign::tilted_winrate(on_, table_.rows(), infalign::kl_weight(beta), procedure, procedure, win_rate_, kl_);
      point.win_rate[i] = mean(win_rate_);
    });
    point.kl = mean(kl_);
    return point;
  }

  Backend on_;
  std::string name_;
  reward_table table_;
  double beta_ = 0.5;
  std::vector<double> kl_, win_rate_;
};

}  // namespace align
