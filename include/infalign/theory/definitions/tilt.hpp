// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "infalign/theory/detail/tilt.hpp"

namespace infalign::detail {

template <class Test>
bool tilting::split_if(const Test& test) {
  std::vector<piece> next;
  next.reserve(pieces_.size() + 16);
  for (const piece& p : pieces_) {
    if (p.high - p.low < 1e-9 || !test(p)) {
      next.push_back(p);
      continue;
    }
    const double middle = 0.5 * (p.low + p.high);
    next.push_back(make(p.low, middle));
    next.push_back(make(middle, p.high));
    next[next.size() - 2].tail_before = next.back().tail_before = p.tail;
  }
  expects_few(next.size());
  const bool any = next.size() > pieces_.size();
  pieces_ = std::move(next);
  return any;
}

template <class Integrand>
double tilting::total(const Integrand& g) const {
  const chebyshev& points = chebyshev::points();
  double sum = 0;
  for (const piece& p : pieces_) {
    double part = 0;
    for (std::size_t i = 0; i < chebyshev::size; ++i) part += points.weight[i] * p.width[i] * g(sharpness_ * p.difference[i]);
    sum += p.half() * part;
  }
  return sum;
}

INFALIGN_INLINE tilting::tilting(std::string name, tilt_slope derivative, std::vector<double> breaks)
    : name_(std::move(name)), derivative_(std::move(derivative)) {
  expects<domain_error>(breaks.size() <= most_breaks, "tilted_density", name_, " has ", breaks.size(), " kinks, the most are ",
                        most_breaks);
  std::vector<double> edges = {lowest, highest};
  for (double x = 0; x < highest; x += x < 6 ? 1.5 : x < 12 ? 2 : 4) {
    edges.push_back(x);
    edges.push_back(-x);
  }
  for (const double u : breaks)
    if (u > 0 && u < 1) breaks_.push_back(std::clamp(where_.of(u), lowest, highest));
  std::sort(breaks_.begin(), breaks_.end());
  edges.insert(edges.end(), breaks_.begin(), breaks_.end());
  std::sort(edges.begin(), edges.end());
  for (std::size_t i = 0; i + 1 < edges.size(); ++i)
    if (edges[i + 1] - edges[i] > 1e-12 * (1 + std::abs(edges[i]))) pieces_.push_back(make(edges[i], edges[i + 1]));
  resolve_transform();
  reach_range();
}

INFALIGN_INLINE bool tilting::resolves(double beta) {
  if (!(beta >= smallest_beta())) return false;
  sharpness_ = 1 / beta;
  return reach_mass();
}

INFALIGN_INLINE double tilting::smallest_beta() const {
  const double slope = derivative_(1, 0);
  return std::max({1e-300, 1e-300 * range(), slope - slope == 0 ? thinnest * slope : 0.0});
}

INFALIGN_INLINE tilt_moments tilting::at(double beta) {
  sharpness_ = 1 / beta;
  do {
    mass_ = total([](double e) { return std::exp(e); });
  } while (split_if([this](const piece& p) { return !resolves_density(p); }) && (settle_differences(), true));
  const double rest = total([](double e) { return std::expm1(e); });
  moments_.log_mass = rest > -0.5 ? std::log1p(rest) : std::log(mass_);
  const double log_mass = moments_.log_mass;
  moments_.kl = total([=](double e) { return divergence_integrand(e - log_mass); });
  const double mean = total([=](double e) { return std::exp(e - log_mass) * e; });
  moments_.variance = total([=](double e) { return std::exp(e - log_mass) * (e - mean) * (e - mean); });
  return moments_;
}

INFALIGN_INLINE density_curve tilting::curve() const {
  std::vector<curve_panel> panels;
  panels.reserve(pieces_.size());
  for (const piece& p : pieces_) {
    curve_panel& panel = panels.emplace_back(curve_panel{p.low, p.high});
    for (std::size_t i = 0; i < chebyshev::size; ++i) panel.log_density[i] = sharpness_ * p.difference[i] - moments_.log_mass;
  }
  return {where_, std::move(panels)};
}

INFALIGN_INLINE double tilting::largest_kl() const {
  double flat = 0;
  for (const piece& p : pieces_)
    if (p.difference.front() == 0 && p.difference.back() == 0) flat += where_.at(p.high).u - where_.at(p.low).u;
  return flat > 1e-17 ? -std::log(std::min(1.0, flat)) : infinity<double>;
}

INFALIGN_INLINE double tilting::derivative_at(double u, double rest) const {
  double slope = derivative_(u, rest);
  // Infinite at an end: take the representable point next to it.
  if (slope - slope != 0 && (u == 0 || u == 1))
    slope = u == 0 ? derivative_(std::numeric_limits<double>::min(), 1) : derivative_(1 - 0x1.0p-53, 0x1.0p-53);
  expects<domain_error>(slope - slope == 0, "tilted_density", "the derivative of ", name_, " is ", slope, " at u = ", u,
                        ", must be finite");
  return slope;
}

INFALIGN_INLINE tilting::piece tilting::make(double low, double high) const {
  piece fresh{low, high};
  // At a break the derivative is that of neither side, so that it is evaluated slightly inside the piece.
  const auto inset = [this](double x) { return std::binary_search(breaks_.begin(), breaks_.end(), x) ? 1e-11 : 0.0; };
  const double first = -1 + inset(low);
  const double last = 1 - inset(high);
  for (std::size_t i = 0; i < chebyshev::size; ++i) {
    const double t = std::clamp(chebyshev::points().node[i], first, last);
    const place at = where_.at(low + fresh.half() * (1 + t));
    fresh.width[i] = at.width;
    fresh.rise[i] = derivative_at(at.u, at.u > 0.5 ? at.width / at.u : 1 - at.u) * at.width;
  }
  fresh.tail = chebyshev::points().tail(fresh.rise);
  fresh.tail_before = infinity<double>;
  return fresh;
}

INFALIGN_INLINE void tilting::reach_range() {
  const double slope = derivative_(1, 0);
  if (!(slope - slope == 0)) return;
  const std::size_t before = pieces_.size();
  while (slope * pieces_.back().width.back() > 1e-12 * range() && pieces_.back().high < farthest) {
    add_piece();
    settle_differences();
  }
  if (pieces_.size() > before) resolve_transform();
}

INFALIGN_INLINE bool tilting::reach_mass() {
  const double slope = derivative_(1, 0);
  if (slope - slope == 0) {
    const double steepness = slope * sharpness_;
    const double wanted = highest + (steepness > 1 ? std::log(steepness) : 0.0);
    if (pieces_.back().high >= wanted) return true;
    while (pieces_.back().high < wanted) add_piece();
    resolve_transform();
    return true;
  }
  // Φ is infinite at 1: further, until the density in the logit has fallen by e^45 from its peak.
  const auto log_density = [this](const piece& p) { return sharpness_ * p.difference.back() + std::log(p.width.back()); };
  const auto falls = [&] {
    double peak = -infinity<double>;
    for (const piece& p : pieces_) peak = std::max(peak, log_density(p));
    return log_density(pieces_.back()) <= peak - highest;
  };
  while (!falls()) {
    if (pieces_.back().high >= farthest) return false;
    add_piece();
    resolve_transform();
  }
  return true;
}

INFALIGN_INLINE void tilting::expects_few(std::size_t pieces) const {
  const std::size_t most = most_pieces + 16 * breaks_.size();
  expects<domain_error>(pieces <= most, "tilted_density", name_, " takes more than ", most,
                        " pieces to be integrated; list the points where its derivative jumps in kinks()");
}

INFALIGN_INLINE void tilting::resolve_transform() {
  double steepest = 0;
  for (const piece& p : pieces_)
    for (const double r : p.rise) steepest = std::max(steepest, std::abs(r));
  expects<domain_error>(steepest == 0 || steepest >= thinnest, "tilted_density", "the derivative of ", name_,
                        " by the logit is at most ", steepest, ", must be 0 or somewhere at least ", thinnest);
  const auto rough = [steepest](const piece& p) {
    const chebyshev& points = chebyshev::points();
    double largest = 0;
    for (const double r : p.rise) largest = std::max(largest, std::abs(r));
    // A tail that does not fall when the piece is halved is noise of the derivative itself, if it is small, or no more than
    // what the rounding of u makes of a derivative that varies on the scale of 1 - u.
    const double rounding = 0x1.0p-50 * std::exp(p.high) * largest;
    const bool noise = p.tail > 0.7 * p.tail_before && p.tail < std::max(1e-9 * steepest, rounding);
    const bool unresolved = p.tail > 2e-14 * largest + 1e-17 * steepest && !noise;
    return unresolved || points.tail(p.width) * p.half() > 5e-15;
  };
  while (split_if(rough)) {
  }
  settle_differences();
}

INFALIGN_INLINE void tilting::settle_differences() {
  double level = 0;
  double top = 0;
  anchor_ = 0;
  for (std::size_t k = 0; k < pieces_.size(); ++k) {
    level += pieces_[k].half() * chebyshev::points().integrate(pieces_[k].rise);
    if (level >= top) top = level, anchor_ = k + 1;
  }
  level = 0;
  for (std::size_t k = anchor_; k < pieces_.size(); ++k) level = integrate(pieces_[k], level, false);
  level = 0;
  for (std::size_t k = anchor_; k-- > 0;) level = integrate(pieces_[k], level, true);
}

INFALIGN_INLINE double tilting::integrate(piece& p, double level, bool downwards) {
  chebyshev::values rise = p.rise;
  if (downwards) std::reverse(rise.begin(), rise.end());
  p.difference = chebyshev::points().primitive(rise);
  for (double& v : p.difference) v = level + (downwards ? -p.half() : p.half()) * v;
  const double next = p.difference.back();
  if (downwards) std::reverse(p.difference.begin(), p.difference.end());
  return next;
}

INFALIGN_INLINE bool tilting::resolves_density(const piece& p) const {
  chebyshev::values density;
  for (std::size_t i = 0; i < chebyshev::size; ++i) density[i] = std::exp(sharpness_ * p.difference[i]) * p.width[i];
  return chebyshev::points().tail(density) * p.half() <= 2e-14 * mass_;
}

}  // namespace infalign::detail
