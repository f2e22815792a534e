// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>
#include <vector>

#include "infalign/theory/detail/policy_grid.hpp"

namespace infalign::detail {

INFALIGN_INLINE policy_grid::policy_grid(std::vector<panel> panels) : panels_(std::move(panels)) {
  const chebyshev& points = chebyshev::points();
  for (const panel& p : panels_)
    for (std::size_t i = 0; i < chebyshev::size; ++i) {
      x.push_back(i + 1 == chebyshev::size ? p.high : p.low + p.half() * (1 + points.node[i]));
      weight.push_back(p.half() * points.weight[i]);
    }
}

INFALIGN_INLINE std::size_t policy_grid::points_below(double edge) const {
  const auto above = std::find_if(panels_.begin(), panels_.end(), [edge](const panel& p) { return p.high > edge; });
  return static_cast<std::size_t>(above - panels_.begin()) * chebyshev::size;
}

INFALIGN_INLINE double policy_grid::integral(const values& f, const values& g) const {
  double sum = 0;
  for (std::size_t i = 0; i < size(); ++i) sum += weight[i] * f[i] * g[i];
  return sum;
}

INFALIGN_INLINE policy_grid::values policy_grid::primitive(const values& f) const {
  values all(size());
  double below = 0;
  chebyshev::values part;
  for (std::size_t p = 0; p < panels_.size(); ++p) {
    std::copy_n(f.begin() + static_cast<std::ptrdiff_t>(p * chebyshev::size), chebyshev::size, part.begin());
    part = chebyshev::points().primitive(part);
    for (std::size_t i = 0; i < chebyshev::size; ++i) all[p * chebyshev::size + i] = below + panels_[p].half() * part[i];
    below = all[p * chebyshev::size + chebyshev::size - 1];
  }
  return all;
}

INFALIGN_INLINE double policy_grid::tail(const values& f, std::size_t p) const {
  chebyshev::values part;
  std::copy_n(f.begin() + static_cast<std::ptrdiff_t>(p * chebyshev::size), chebyshev::size, part.begin());
  return chebyshev::points().tail(part);
}

INFALIGN_INLINE reward_win_rate::reward_win_rate(const matchup::pair& pair, const policy_grid& grid)
    : pair_(pair), grid_(grid) {
  for (const double x : grid.x) base_.push_back(pair.base.distortion(1 + x));
  if (const auto* procedure = std::get_if<soft_best_of>(&*pair.by_reward)) prepare(*procedure);
}

INFALIGN_INLINE long reward_win_rate::cost() const {
  const auto panels = static_cast<long>(grid_.panels().size());
  return steps_ > 0 ? panels : 1 + panels / 16;
}

INFALIGN_INLINE double reward_win_rate::operator()(const policy_grid::values& density, policy_grid::values& gradient) const {
  const auto* procedure = std::get_if<rewind_and_repeat>(&*pair_.by_reward);
  return pair_.probability * (procedure != nullptr ? rewound(*procedure, density, gradient) : soft(density, gradient));
}

namespace soft_steps {
inline constexpr double step = 0.25, reach = 40, beyond = 4;
inline constexpr std::size_t band = static_cast<std::size_t>((reach + beyond) / step) + 1;
}  // namespace soft_steps

INFALIGN_INLINE void reward_win_rate::prepare(const soft_best_of& procedure) {
  using namespace soft_steps;
  steps_ = static_cast<std::size_t>((1 / procedure.lambda + reach + 2 * beyond) / step) + 1;
  survival_.reserve(grid_.size() * band);
  share_.reserve(grid_.size() * band);
  const double growth = std::exp(step);
  for (const double x : grid_.x) {
    const double a = x / procedure.lambda;
    first_.push_back(static_cast<std::size_t>(std::ceil(-a / step)));
    double power = std::exp(-reach + step * static_cast<double>(first_.back()) + a);
    for (std::size_t j = 0; j < band; ++j, power *= growth) {
      survival_.push_back(std::exp(-power));
      share_.push_back(power * survival_.back());
    }
  }
}

// With M_k = ∫ f·e^{-x_k·e^a} and P_k = ∫ f·B·x_k·e^{a - x_k·e^a}, W = N·Σ_k step·P_k·M_k^{N-1}. Below the band of a point
// e^{-x·e^a} is 1, above it 0.
INFALIGN_INLINE double reward_win_rate::soft(const policy_grid::values& density, policy_grid::values& gradient) const {
  using namespace soft_steps;
  const auto n = static_cast<double>(std::get<soft_best_of>(*pair_.by_reward).n);
  std::vector<double> others(steps_ + 1), won(steps_);
  for (std::size_t i = 0; i < grid_.size(); ++i) {
    const double mass = grid_.weight[i] * density[i], gain = mass * base_[i];
    const std::size_t most = std::min(band, steps_ - first_[i]);
    const double* const survival = &survival_[i * band];
    const double* const share = &share_[i * band];
    double* const m = &others[first_[i]];
    double* const p = &won[first_[i]];
    for (std::size_t j = 0; j < most; ++j) {
      m[j] += mass * survival[j];
      p[j] += gain * share[j];
    }
  }
  // Below the band: whole masses, as sums from above.
  {
    std::vector<double> whole(steps_ + 1);
    for (std::size_t i = 0; i < grid_.size(); ++i)
      if (first_[i] > 0) whole[std::min(first_[i], steps_) - 1] += grid_.weight[i] * density[i];
    double sum = 0;
    for (std::size_t k = steps_; k-- > 0;) others[k] += sum += whole[k];
  }
  double win_rate = 0;
  std::vector<double> by_share(steps_), by_survival(steps_), below(steps_ + 1);
  for (std::size_t k = 0; k < steps_; ++k) {
    const double power = std::pow(others[k], n - 2);
    by_share[k] = n * step * power * others[k];
    by_survival[k] = n * (n - 1) * step * won[k] * power;
    win_rate += by_share[k] * won[k];
    below[k + 1] = below[k] + by_survival[k];
  }
  for (std::size_t i = 0; i < grid_.size(); ++i) {
    const std::size_t most = std::min(band, steps_ - first_[i]);
    const double* const survival = &survival_[i * band];
    const double* const share = &share_[i * band];
    double alone = 0, others_too = below[first_[i]];
    for (std::size_t j = 0; j < most; ++j) {
      alone += by_share[first_[i] + j] * share[j];
      others_too += by_survival[first_[i] + j] * survival[j];
    }
    gradient[i] += pair_.probability * (base_[i] * alone + others_too);
  }
  return win_rate;
}

INFALIGN_INLINE double rewound_samples(double attempts, double below, double above) {
  if (attempts * above < 1e-5) return attempts * (1 - 0.5 * (attempts - 1) * above);
  return above > 0.5 ? (1 - std::pow(below, attempts)) / above : -std::expm1(attempts * std::log1p(-above)) / above;
}

// W = S(b)·∫_τ^1 f·B + b^{M-1}·∫_0^τ f·B, where S(b) = Σ_{i<M} b^i; where the best is served, the last term is ∫_0^τ B dF^M.
INFALIGN_INLINE double reward_win_rate::rewound(const rewind_and_repeat& procedure, const policy_grid::values& density,
                                                policy_grid::values& gradient) const {
  const auto m = static_cast<double>(procedure.attempts);
  const bool best = procedure.otherwise == unpassed::best;
  const std::size_t lower = grid_.points_below(procedure.threshold - 1);
  double below = 0, above = 0, won_below = 0, won_above = 0;
  for (std::size_t i = 0; i < grid_.size(); ++i) {
    const double mass = grid_.weight[i] * density[i];
    (i < lower ? below : above) += mass;
    (i < lower ? won_below : won_above) += mass * base_[i];
  }
  const double none = std::pow(below, m - 1);
  const double samples = rewound_samples(m, below, above);
  // S'(b), next to b = 1 by its series
  const double samples_slope =
      m * above < 1e-4 ? 0.5 * m * (m - 1) * (1 - 2.0 / 3 * (m - 2) * above) : (samples - m * none) / above;
  const double by_rewinding = samples_slope * won_above;
  for (std::size_t i = lower; i < grid_.size(); ++i) gradient[i] += pair_.probability * samples * base_[i];
  if (!best) {
    const double again = by_rewinding + (m - 1) * std::pow(below, m - 2) * won_below;
    for (std::size_t i = 0; i < lower; ++i) gradient[i] += pair_.probability * (none * base_[i] + again);
    return samples * won_above + none * won_below;
  }
  policy_grid::values cdf = grid_.primitive(density), fall(grid_.size());
  double won_best = 0;
  for (std::size_t i = 0; i < lower; ++i) {
    won_best += grid_.weight[i] * density[i] * base_[i] * m * std::pow(cdf[i], m - 1);
    fall[i] = density[i] * base_[i] * m * (m - 1) * std::pow(cdf[i], m - 2);
  }
  fall = grid_.primitive(fall);
  for (std::size_t i = 0; i < lower; ++i)
    gradient[i] += pair_.probability * (by_rewinding + m * std::pow(cdf[i], m - 1) * base_[i] + fall.back() - fall[i]);
  return samples * won_above + won_best;
}

}  // namespace infalign::detail
