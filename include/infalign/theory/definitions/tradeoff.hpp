// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "infalign/theory/detail/kl_inversion.hpp"
#include "infalign/theory/detail/shooting.hpp"
#include "infalign/theory/tradeoff.hpp"

namespace infalign {

namespace detail {

/// The search for the best policy within a KL budget κ. Every optimum on the way bounds what is possible, whatever its own KL:
/// for every β, `W <= max (W - β·KL) + β·κ`.
class budget_search {
 public:
  budget_search(const matchup& played, double budget, effort& shared) : played_(played), budget_(budget), effort_(shared) {
    search();
  }

  /// The optimum whose KL is the budget.
  [[nodiscard]] std::optional<optimal_transform> optimum() const { return exact_ ? last_ : std::nullopt; }

  /// Whether it ended at a β that could not be solved for.
  [[nodiscard]] bool too_stiff() const { return too_stiff_; }

  [[nodiscard]] budget_optimum best() {
    if (exact_) return {last_, last_->win_rate(), last_->proof() == optimality::proved_global};
    if (below_ && above_)
      cross_jump();
    else if (below_)
      lower_beta();
    return {below_, below_ ? std::max(bound_, below_->win_rate()) : bound_, bound_proved_};
  }

 private:
  static constexpr double smallest = 1e-9;
  static constexpr double smallest_budget = 1e-26;  // below it, the KL of a solution is rounding error
  /// Solutions after which a search that has not ended is suspected to stand before a jump; 5 to 10 are usual.
  static constexpr int patience = 12;

  void search() {
    if (budget_ < smallest_budget) return;
    const double start = 1 / (2.5 * std::expm1(budget_) + std::sqrt(budget_));
    try {
      beta_at_kl([this](double beta) { return kl_at(beta); }, budget_, start, smallest);
    } catch (const optimum_not_found&) {
      too_stiff_ = true;
      return;
    }
    exact_ = !jump_ && std::abs(last_->kl() - budget_) <= 1e-9 * budget_;
  }

  /// At a jump it returns the budget, which ends the search.
  double kl_at(double beta) {
    solve(beta);
    if (++calls_ == patience && below_ && above_) jump_ = find_jump();
    return jump_ ? budget_ : last_->kl();
  }

  void solve(double beta) {
    tried_ = beta;
    last_ = optimal_transform(played_, kl_weight(beta), effort_);
    const double bound = last_->win_rate() + beta * (budget_ - last_->kl());
    if (bound < bound_) {
      bound_ = bound;
      bound_proved_ = last_->proof() == optimality::proved_global;
    }
    std::optional<optimal_transform>& side = last_->kl() <= budget_ ? below_ : above_;
    if (!side || std::abs(last_->kl() - budget_) < std::abs(side->kl() - budget_)) side = last_;
  }

  /// The β at which the optima below and above the budget are worth the same.
  [[nodiscard]] double slope_between() const {
    return (above_->win_rate() - below_->win_rate()) / (above_->kl() - below_->kl());
  }

  /// Whether both remain the best at that β. That is a jump; where KL changes steadily, a third one between them is better.
  bool find_jump() {
    const std::optional<optimal_transform> reached = last_;
    bool found = false;
    for (int i = 0; i < 8 && !found; ++i) {
      const double width = above_->kl() - below_->kl();
      const double beta = slope_between();
      if (!(width > 1e-6 * budget_ && beta > smallest)) break;
      const double both = below_->win_rate() - beta * below_->kl();
      solve(beta);
      found = last_->win_rate() - beta * last_->kl() - both <= 1e-9 * beta * width;
    }
    last_ = reached;
    return found;
  }

  using points = std::optional<std::vector<optimal_transform>>;

  [[nodiscard]] points stationary(double beta) const {
    return optimal_transform::stationary_points_below(played_, beta, above_->log_density(1), effort_);
  }
  [[nodiscard]] bool odd_below(const points& all) const {
    return std::count_if(all->begin(), all->end(), [this](const optimal_transform& p) { return p.kl() < budget_; }) % 2 == 1;
  }

  /// The best policy of a KL inside a jump is a stationary point of `W - β·KL` as well, for some β that makes it no maximum. The
  /// stationary points of all β form a curve from one side of the jump to the other, so one of them has that KL. As β changes,
  /// stationary points appear and vanish in pairs of nearly the same KL. The number of them below the budget therefore changes
  /// between odd and even exactly where the curve passes the budget.
  void cross_jump() {
    double beta = slope_between();
    if (!(beta > smallest)) return;  // both sides win as much but for rounding: there is nothing between them to gain
    points all = stationary(beta);
    if (!all) return;
    const bool odd = odd_below(all);
    const double step = odd ? 0.5 : 2;
    const double last = odd ? 1e-13 / budget_ : 1e3 * beta;
    do {
      if (odd ? beta < last : beta > last) return;
      beta *= step;
      all = stationary(beta);
      if (!all) return;
    } while (odd_below(all) == odd);
    meet_budget(std::log(beta), std::log(beta / step), !odd);
  }

  /// Closes in on that point between two values of log β. On the side of `inside`, the count is odd if `odd`.
  void meet_budget(double inside, double outside, bool odd) {
    std::optional<optimal_transform> nearest;
    const auto distance = [this](const optimal_transform& p) { return std::abs(p.kl() - budget_); };
    double x = 0.5 * (inside + outside), x_before = 0, excess_before = 0;
    for (int i = 0; i < 60; ++i) {
      const points all = stationary(std::exp(x));
      if (!all) return;
      (odd_below(all) == odd ? inside : outside) = x;
      const auto next = std::min_element(all->begin(), all->end(), [&](const optimal_transform& a, const optimal_transform& b) {
        return distance(a) < distance(b);
      });
      const double excess = next == all->end() ? infinity<double> : next->kl() - budget_;
      if (next != all->end() && (!nearest || distance(*next) < distance(*nearest))) nearest = *next;
      if (std::abs(excess) <= 1e-13 * budget_) break;
      const double secant = x - excess * (x - x_before) / (excess - excess_before);
      x_before = x;
      excess_before = excess;
      x = i % 3 != 2 && (secant - inside) * (secant - outside) < 0 ? secant : 0.5 * (inside + outside);
    }
    if (nearest && distance(*nearest) <= 1e-9 * budget_ && nearest->win_rate() > below_->win_rate()) below_ = nearest;
  }

  /// Where β becomes too small to solve for, the search has left a gap between the last that could be solved and the first that
  /// could not. A smaller β tightens the bound.
  void lower_beta() {
    double failed = tried_;
    for (int i = 0; i < 6 && failed < below_->beta() && !above_ && bound_ - below_->win_rate() > 1e-9; ++i) {
      const double beta = std::sqrt(failed * below_->beta());
      try {
        solve(beta);
      } catch (const optimum_not_found&) {
        failed = beta;
      }
    }
  }

  const matchup& played_;
  double budget_;
  effort& effort_;
  std::optional<optimal_transform> last_;
  std::optional<optimal_transform> below_;  ///< of those solved, the one whose KL is next to the budget, not above it
  std::optional<optimal_transform> above_;
  double bound_ = 1;
  bool bound_proved_ = true;  // of the bound 1
  double tried_ = 0;
  int calls_ = 0;
  bool jump_ = false;
  bool exact_ = false;
  bool too_stiff_ = false;
};

}  // namespace detail

INFALIGN_INLINE std::optional<optimal_transform> optimal_at_kl(const matchup& played, kl_budget kl) {
  detail::effort effort{detail::effort::at_kls(1)};
  return detail::budget_search(played, kl.value, effort).optimum();
}

INFALIGN_INLINE budget_optimum optimal_within(const matchup& played, kl_budget kl) {
  detail::effort effort{detail::effort::at_kls(1)};
  return detail::optimal_within(played, kl, effort);
}
INFALIGN_INLINE budget_optimum detail::optimal_within(const matchup& played, kl_budget kl, effort& shared) {
  return budget_search(played, kl.value, shared).best();
}

INFALIGN_INLINE std::vector<std::optional<tradeoff_point>> optimal_frontier(const matchup& played,
                                                                            const std::vector<kl_budget>& budgets) {
  std::vector<std::optional<tradeoff_point>> points(budgets.size());
  detail::effort effort{detail::effort::at_kls(budgets.size())};
  int too_stiff = 0;
  for (std::size_t i = 0; i < budgets.size() && too_stiff < 3; ++i) {
    const detail::budget_search search(played, budgets[i].value, effort);
    if (const std::optional<optimal_transform> optimum = search.optimum()) points[i] = detail::point_of(*optimum);
    too_stiff += search.too_stiff() ? 1 : 0;
  }
  return points;
}

}  // namespace infalign
