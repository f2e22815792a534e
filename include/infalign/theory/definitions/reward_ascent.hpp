// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <variant>
#include <vector>

#include "infalign/theory/detail/reward_ascent.hpp"

namespace infalign::detail {

INFALIGN_INLINE reward_ascent::reward_ascent(const matchup& played, effort& shared) : played_(played), shared_(shared) {
  double widest = 0.25;
  std::vector<double> edges{-1, 0};
  for (const matchup::pair& pair : played.pairs()) {
    most_samples_ = std::max(
        most_samples_, std::visit([](const auto& p) { return static_cast<double>(p.samples_needed()); }, *pair.by_reward));
    if (const auto* soft = std::get_if<soft_best_of>(&*pair.by_reward)) widest = std::min(widest, 2 * soft->lambda);
    if (const auto* rewind = std::get_if<rewind_and_repeat>(&*pair.by_reward)) {
      edges.push_back(rewind->threshold - 1);
      // The scan of starts meets layers below the threshold and below 1.
      for (double width = 0.125; width > 1e-7; width *= 0.5) {
        edges.push_back(-width);
        if (width < 0.5 * rewind->threshold) edges.push_back(rewind->threshold - 1 - width);
      }
    }
    for (const double kink : pair.base.kinks) edges.push_back(kink - 1);
  }
  std::sort(edges.begin(), edges.end());
  std::vector<policy_grid::panel> panels;
  for (std::size_t k = 0; k + 1 < edges.size(); ++k) {
    const double width = edges[k + 1] - edges[k];
    if (!(width > 1e-12)) continue;
    const auto parts = static_cast<std::size_t>(std::ceil(width / widest));
    for (std::size_t j = 0; j < parts; ++j) {
      const double low = j == 0 ? edges[k] : panels.back().high;
      panels.push_back(
          {low, j + 1 == parts ? edges[k + 1] : edges[k] + width * static_cast<double>(j + 1) / static_cast<double>(parts)});
    }
  }
  lay(std::move(panels));
  now_ = at(values(grid_->size()));
}

INFALIGN_INLINE void reward_ascent::lay(std::vector<policy_grid::panel> panels) {
  wins_.clear();
  grid_.emplace(std::move(panels));
  wins_.reserve(played_.pairs().size());
  for (const matchup::pair& pair : played_.pairs()) {
    wins_.emplace_back(pair, *grid_);
    shared_.left -= 10 * wins_.back().cost();  // its exponentials
  }
}

INFALIGN_INLINE void reward_ascent::start(const std::function<double(double)>& log_density) {
  values h;
  for (const double x : grid_->x) h.push_back(log_density(1 + x));
  now_ = at(std::move(h));
}

INFALIGN_INLINE double reward_ascent::evaluate(const values& density, values& gradient) {
  gradient.assign(grid_->size(), 0);
  double win_rate = 0;
  for (const reward_win_rate& pair : wins_) {
    win_rate += pair(density, gradient);
    shared_.left -= pair.cost();
  }
  return win_rate;
}

INFALIGN_INLINE reward_ascent::state reward_ascent::at(values log_density) {
  const double top = *std::max_element(log_density.begin(), log_density.end());
  double mass = 0;
  for (std::size_t i = 0; i < log_density.size(); ++i) mass += grid_->weight[i] * std::exp(log_density[i] - top);
  state next{std::move(log_density), {}, {}};
  for (double& h : next.log_density) {
    h -= top + std::log(mass);
    next.density.push_back(std::exp(h));
  }
  values divergence;
  for (const double h : next.log_density) divergence.push_back(divergence_integrand(h));
  next.kl = grid_->integral(divergence, values(grid_->size(), 1));
  next.win_rate = evaluate(next.density, next.gradient);
  return next;
}

INFALIGN_INLINE double reward_ascent::inner(const values& a, const values& b) const {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += grid_->weight[i] * now_.density[i] * a[i] * b[i];
  return sum;
}
INFALIGN_INLINE void reward_ascent::centre(values& a) const {
  const double mean = grid_->integral(now_.density, a);
  for (double& v : a) v -= mean;
}

INFALIGN_INLINE policy_grid::values reward_ascent::residual(double beta) const {
  values r(grid_->size());
  for (std::size_t i = 0; i < r.size(); ++i) r[i] = now_.gradient[i] / beta - now_.log_density[i];
  centre(r);
  return r;
}

INFALIGN_INLINE policy_grid::values reward_ascent::direction(const values& residual, double beta) {
  values d(residual.size()), left = residual, way = residual, moved, density(residual.size());
  double square = inner(left, left);
  const double enough = square * std::clamp(square, 1e-8, 0.01);
  for (int i = 0; i < 40 && square > enough; ++i) {
    // (1 - K·f/β)·way, by a difference of Φ.
    const double step = 1e-5 / std::sqrt(inner(way, way));
    for (std::size_t k = 0; k < d.size(); ++k) density[k] = now_.density[k] * (1 + step * way[k]);
    (void)evaluate(density, moved);
    for (std::size_t k = 0; k < d.size(); ++k) moved[k] = way[k] - (moved[k] - now_.gradient[k]) / (step * beta);
    centre(moved);
    const double curvature = inner(way, moved);
    if (!(curvature > 1e-6 * inner(way, way))) return i == 0 ? residual : d;
    const double length = square / curvature;
    for (std::size_t k = 0; k < d.size(); ++k) {
      d[k] += length * way[k];
      left[k] -= length * moved[k];
    }
    const double next = inner(left, left);
    for (std::size_t k = 0; k < d.size(); ++k) way[k] = left[k] + next / square * way[k];
    square = next;
  }
  return d;
}

INFALIGN_INLINE reward_ascent::state reward_ascent::moved(const values& direction, double step) {
  values h = now_.log_density;
  for (std::size_t k = 0; k < h.size(); ++k) h[k] += step * direction[k];
  return at(std::move(h));
}

INFALIGN_INLINE bool reward_ascent::maximise(double beta) {
  // What rounding leaves of the residual: Φ/β is known to some 1e-16/β.
  const double rounding = 1e-30 * (1 + 1 / (beta * beta));
  values r = residual(beta);
  double square = inner(r, r);
  for (int i = 0; i < 60 && square > rounding; ++i) {
    if (shared_.left < 0) return false;
    const values d = direction(r, beta);
    const double slope = beta * inner(r, d);
    // Next to the maximum the worth cannot tell, but the residual can.
    const bool close = slope < 1e-10;
    double s = 1;
    state next = moved(d, s);
    for (; !close && !(next.worth(beta) >= now_.worth(beta) + 1e-4 * s * slope); next = moved(d, s))
      if ((s *= 0.5) < 1e-12) return false;
    std::swap(now_, next);
    r = residual(beta);
    const double left = inner(r, r);
    if (close && !(left < 0.5 * square)) {
      now_ = std::move(next);
      break;
    }
    square = left;
  }
  // The derivative of M(x)^{N-1} magnifies rounding by N.
  return square < std::max(1e-16 * (1 + 1e-8 / (beta * beta)), 1e-20 * most_samples_ * most_samples_);
}

INFALIGN_INLINE bool reward_ascent::refine() {
  const chebyshev& points = chebyshev::points();
  std::vector<policy_grid::panel> panels;
  values h;
  for (std::size_t p = 0; p < grid_->panels().size(); ++p) {
    const policy_grid::panel& old = grid_->panels()[p];
    const auto first = now_.log_density.begin() + static_cast<std::ptrdiff_t>(p * chebyshev::size);
    const bool resolved = old.half() * grid_->tail(now_.density, p) <= 1e-13 || old.high - old.low < 1e-13;
    if (resolved) {
      panels.push_back(old);
      h.insert(h.end(), first, first + chebyshev::size);
      continue;
    }
    chebyshev::values part;
    std::copy_n(first, chebyshev::size, part.begin());
    const double middle = old.low + old.half();
    panels.push_back({old.low, middle});
    panels.push_back({middle, old.high});
    for (const double shift : {-0.5, 0.5})
      for (std::size_t i = 0; i < chebyshev::size; ++i) h.push_back(points.interpolate(part, shift + 0.5 * points.node[i]));
  }
  if (panels.size() == grid_->panels().size()) return false;
  lay(std::move(panels));
  now_ = at(std::move(h));
  return true;
}

INFALIGN_INLINE bool reward_ascent::climb(double beta) {
  now_ = at(std::move(now_.log_density));
  do {
    if (!maximise(beta) || grid_->panels().size() > 4000) return false;
  } while (refine());
  // Once more Φ/β itself: where the policy has no mass, a step that counts mass has left log f as it was.
  values h = now_.gradient;
  for (double& v : h) v /= beta;
  now_ = at(std::move(h));
  return true;
}

INFALIGN_INLINE density_curve reward_ascent::curve() const {
  std::vector<curve_panel> panels;
  for (std::size_t p = 0; p < grid_->panels().size(); ++p) {
    curve_panel& panel = panels.emplace_back(curve_panel{grid_->panels()[p].low, grid_->panels()[p].high});
    std::copy_n(now_.log_density.begin() + static_cast<std::ptrdiff_t>(p * chebyshev::size), chebyshev::size,
                panel.log_density.begin());
  }
  return {chart{chart::kind::distance}, std::move(panels)};
}

}  // namespace infalign::detail
