// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/theory/definitions/optimal_by_reward.hpp"
#include "infalign/theory/detail/shooting.hpp"
#include "infalign/theory/optimal_transform.hpp"

namespace infalign {

INFALIGN_INLINE optimal_transform::optimal_transform(matchup played, kl_weight beta)
    : played_(std::move(played)), beta_(beta.value) {
  detail::effort effort{detail::effort::of_one_optimum};
  solve_all(effort);
}

INFALIGN_INLINE optimal_transform::optimal_transform(matchup played, kl_weight beta, detail::effort& effort)
    : played_(std::move(played)), beta_(beta.value) {
  solve_all(effort);
}

INFALIGN_INLINE void optimal_transform::solve_all(detail::effort& effort) {
  expects<domain_error>(beta_ > 0, "optimal_transform", "beta is ", beta_, ", must be positive");
  if (played_.by_reward()) return solve_by_reward(effort);
  if (std::log(played_.slope(1, 1)) - std::log(beta_) > stiffest) not_found();
  const bool concave = played_.concave() || beta_ >= 0.25 * played_.steepest_fall();
  optimality_ = concave ? optimality::proved_global : optimality::best_stationary_point;
  for (const bracket& in : brackets(concave ? 1 : 32, effort)) keep_better(in, effort);
  if (found_ == 0) not_found();
}

INFALIGN_INLINE tabulated optimal_transform::table(double tolerance) const {
  expects<domain_error>(tolerance >= 1e-10 && tolerance < 1, "optimal_transform::table", "tolerance is ", tolerance,
                        ", must be in [1e-10, 1)");
  std::vector<double> u{0}, values{(*this)(0.0)}, slopes{derivative(0.0)};
  double least = 0, most = -infinity<double>;
  for (const detail::curve_panel& panel : curve_.panels())
    for (const double h : panel.log_density) {
      least = std::min(least, value_of(h));
      most = std::max(most, value_of(h));
    }
  const double error = tolerance * (most - least);
  for (const detail::curve_panel& panel : curve_.panels()) {
    const bool last = &panel == &curve_.panels().back();
    const double high = last ? 1.0 : 1 + panel.high;
    if (high <= u.back() || (high == 1 && !last)) continue;  // narrower than rounding
    // A jump, at the threshold of rewind_and_repeat, becomes a step of this width.
    const double below = high - 0x1p-30;
    const bool jumps = !last && below > u.back() && std::abs((*this)(high)-value_of(panel.log_density.back())) > error;
    if (jumps) append(u, values, slopes, {below, (*this)(below), derivative(below)}, error, 0);
    append(u, values, slopes, {high, (*this)(high), derivative(high)}, error, jumps ? deepest : 0);
  }
  if (played_.by_reward()) return tabulated::hermite(std::move(u), std::move(values), std::move(slopes));
  return tabulated(std::move(u), std::move(values), std::move(slopes));
}

INFALIGN_INLINE void optimal_transform::not_found() const {
  raise<optimum_not_found>("optimal_transform", "the problem for ", played_.name(), " at beta ", beta_,
                           " is too stiff: no solution ", played_.by_reward() ? "was reached" : "meets F(0) = 0");
}

INFALIGN_INLINE std::vector<optimal_transform::bracket> optimal_transform::brackets(int intervals,
                                                                                    detail::effort& effort) const {
  double highest = 0;
  constexpr int steps = 128;
  for (int i = 0; i <= steps; ++i) {
    double sum = 0;
    for (const matchup::pair& p : played_.pairs()) sum += p.probability * p.base.density(static_cast<double>(i) / steps);
    highest = std::max(highest, sum);
  }
  // Panels of the width 1/f(1) would have no width.
  if (!(highest / beta_ < 1e300)) not_found();
  double top = std::log1p(highest / beta_) + 0.01;
  detail::shooting shoot(played_, beta_, effort);
  // The bound above may be too low, as a peak of g_base between the points of the grid is higher than those points.
  while (top < stiffest && shoot(std::exp(top), 1e-6).value < 0) top += 1;
  if (intervals == 1) return {{1 / 1.01, std::exp(top), true}};
  std::vector<double> heights;
  for (int i = 1; i <= intervals; ++i) heights.push_back(top * i / intervals);
  return sign_changes(shoot, heights, 1e-6);
}

INFALIGN_INLINE std::vector<optimal_transform::bracket> optimal_transform::sign_changes(detail::shooting& shoot,
                                                                                        const std::vector<double>& heights,
                                                                                        double tolerance) {
  std::vector<bracket> found;
  const auto at = [&](double y) {
    const detail::shooting::miss miss = shoot(y, tolerance);
    return shot{y, miss.value, miss.slope};
  };
  shot before = at(1);
  before.value = std::min(before.value, 0.0);  // B(1) <= 1 for f(1) = 1, since the density rises to its upper end
  for (const double height : heights) {
    const double y = std::exp(height);
    const shot next = at(y);
    const bool above = next.value > 0;
    if (above != (before.value > 0))
      found.push_back({before.y / 1.01, y, above});
    else
      find_pair(shoot, before, next, found);
    before = next;
  }
  // A scan that gave up may have missed the best solution, so that none of what it found may be used.
  return shoot.gave_up() ? std::vector<bracket>{} : found;
}

INFALIGN_INLINE void optimal_transform::find_pair(detail::shooting& shoot, shot low, shot high, std::vector<bracket>& found) {
  const bool above = low.value > 0;
  const double sign = above ? 1 : -1;
  for (int i = 0; i < 40 && sign * low.slope < 0 && sign * high.slope > 0; ++i) {
    const double y = (high.value - low.value + low.slope * low.y - high.slope * high.y) / (low.slope - high.slope);
    if (!(y > low.y && y < high.y && sign * (low.value + low.slope * (y - low.y)) < 0)) return;
    const detail::shooting::miss miss = shoot(y, 1e-12);
    if (sign * miss.value < 0) {
      found.push_back({low.y, y, !above});
      found.push_back({y, high.y, above});
      return;
    }
    (sign * miss.slope < 0 ? low : high) = {y, miss.value, miss.slope};
  }
}

INFALIGN_INLINE bool optimal_transform::solve(detail::shooting& shoot, bracket in) const {
  constexpr double rounding = detail::shooting::rounding;
  double y = in.high, tolerance = std::min(1e-4, 1e-2 / y);
  int stalled = 0;
  for (int i = 0; i < 100 && !shoot.gave_up(); ++i) {
    const detail::shooting::miss miss = shoot(y, tolerance);
    // The bracket shrinks only where the sign is certain: where the miss is larger than the error of the shot.
    if (std::abs(miss.value) > 10 * y * tolerance) ((miss.value > 0) == in.rising ? in.high : in.low) = y;
    double next = y - miss.value / miss.slope;
    stalled = std::abs(next / y - 1) > 0.25 * std::log(in.high / in.low) ? stalled + 1 : 0;
    if (!(next > in.low && next < in.high) || stalled > 1) next = std::sqrt(in.low * in.high), stalled = 0;
    const double step = std::abs(next / y - 1);
    y = next;
    if (tolerance == rounding && step <= 1e-9) break;
    tolerance = i > 30 ? rounding : std::clamp(1e-2 * step * step, rounding, std::min(1e-4, 1e-2 / y));
  }
  shoot(y);
  return !shoot.gave_up();
}

INFALIGN_INLINE std::optional<detail::density_curve> optimal_transform::solution(const bracket& in,
                                                                                 detail::effort& effort) const {
  detail::shooting shoot(played_, beta_, effort);
  // Rejects a bracket whose shot did not converge, or whose last Newton step in log f(1) exceeds 1e-6.
  if (!solve(shoot, in) || !(std::abs(shoot.missing_step()) <= 1e-6)) return std::nullopt;
  detail::density_curve curve = shoot.curve();
  if (!(std::abs(curve.panels().front().above.front() - 1) < 1e-9)) return std::nullopt;
  return curve;
}

INFALIGN_INLINE void optimal_transform::keep_better(const bracket& in, detail::effort& effort) {
  std::optional<detail::density_curve> curve = solution(in, effort);
  if (!curve) return;
  const double win_rate = curve->win_rate(played_);
  ++found_;
  if (found_ > 1 && win_rate - beta_ * curve->kl() <= win_rate_ - beta_ * curve_.kl()) return;
  take(*std::move(curve), win_rate);
}

INFALIGN_INLINE void optimal_transform::take(detail::density_curve curve, double win_rate) {
  curve_ = std::move(curve);
  win_rate_ = win_rate;
  top_ = curve_.panels().back().log_density.back();
}

INFALIGN_INLINE std::optional<std::vector<optimal_transform>> optimal_transform::stationary_points_below(
    const matchup& played, double beta, double highest, detail::effort& effort) {
  if (played.by_reward()) return std::nullopt;  // not solved by shooting
  optimal_transform point(played, beta);
  std::vector<double> heights;
  for (int i = 1; i <= 32; ++i) {
    heights.push_back(highest * i / 32);
    heights.push_back(highest * std::exp2(-0.5 * i));
  }
  std::sort(heights.begin(), heights.end());
  detail::shooting shoot(point.played_, beta, effort);
  const std::vector<bracket> found = sign_changes(shoot, heights, 1e-12);
  if (shoot.gave_up()) return std::nullopt;
  point.found_ = static_cast<index_t>(found.size());
  std::vector<optimal_transform> all;
  for (const bracket& in : found) {
    std::optional<detail::density_curve> curve = point.solution(in, effort);
    if (!curve) return std::nullopt;
    const double win_rate = curve->win_rate(point.played_);
    point.take(*std::move(curve), win_rate);
    all.push_back(point);
  }
  return all;
}

INFALIGN_INLINE void optimal_transform::append(std::vector<double>& u, std::vector<double>& values, std::vector<double>& slopes,
                                               const point& to, double error, int depth) const {
  const double h = to.u - u.back();
  bool close = true;
  for (const double s : {0.25, 0.5, 0.75}) {
    const double r = 1 - s;
    const double cubic =
        values.back() * r * r * (1 + 2 * s) + to.value * s * s * (1 + 2 * r) + h * s * r * (slopes.back() * r - to.slope * s);
    close = close && std::abs(cubic - (*this)(u.back() + s * h)) <= 0.5 * error;
  }
  if (!close && depth < deepest) {
    const double middle = u.back() + 0.5 * h;
    append(u, values, slopes, {middle, (*this)(middle), derivative(middle)}, error, depth + 1);
    append(u, values, slopes, to, error, depth + 1);
    return;
  }
  const bool rising = !played_.by_reward();
  u.push_back(to.u);
  values.push_back(rising ? std::max(to.value, values.back()) : to.value);
  slopes.push_back(rising ? std::max(0.0, to.slope) : to.slope);
}

}  // namespace infalign
