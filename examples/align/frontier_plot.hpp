// SPDX-License-Identifier: Apache-2.0
/// \file
/// frontier.svg: KL against win rate, one panel a procedure. Lines are the closed-form optimal policies, marks the trained ones.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "../shared/svg_panel.hpp"
#include "report.hpp"
#include "results.hpp"

namespace align {

namespace detail {

using shared::colour, shared::polyline, shared::svg_panel;

inline constexpr std::array<const char*, n_procedures> titles = {"standard sampling", "best of 4", "worst of 4"};

/// The theoretical limit: no policy lies above it.
inline std::string limit_line(const results& all, const svg_panel& p, std::size_t procedure) {
  std::string points = format("%.1f,%.1f", p.x(0), p.y(0.5));
  for (const limit_point& l : all.limit)
    if (p.shows(l.kl)) points += format(" %.1f,%.1f", p.x(l.kl), p.y(l.win_rate[procedure]));
  return polyline(points, "#777", "limit");
}

/// The closed-form frontier of a method; the base policy itself is its beginning.
inline std::string closed_form_line(const results& all, const svg_panel& p, std::size_t method, std::size_t procedure) {
  std::string points = format("%.1f,%.1f", p.x(0), p.y(0.5));
  for (const closed_form_point& c : all.closed_form)
    if (c.method == all.methods[method] && p.shows(c.kl)) points += format(" %.1f,%.1f", p.x(c.kl), p.y(c.win_rate[procedure]));
  return polyline(points, colour(method), "optimum");
}

/// The trained policies of a method, joined in order of KL, with error bars of 1.96 standard errors in both directions.
inline std::string trained_points(const results& all, const svg_panel& p, std::size_t method, std::size_t procedure) {
  std::string points, marks;
  for (const policy_run* run : frontier(all.runs, all.methods[method])) {
    if (!p.shows(run->kl.value)) continue;
    const infalign::estimate& w = run->win_rate[procedure];
    const double x = p.x(run->kl.value), y = p.y(w.value);
    points += format("%.1f,%.1f ", x, y);
    marks += format("<line stroke='%s' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f'/>", colour(method), x, x,
                    p.y(w.value - 1.96 * w.standard_error), p.y(w.value + 1.96 * w.standard_error));
    marks +=
        format("<line stroke='%s' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f'/>", colour(method),
               p.x(run->kl.value - 1.96 * run->kl.standard_error), p.x(run->kl.value + 1.96 * run->kl.standard_error), y, y);
    marks +=
        format("<circle fill='%s' r='3.2' cx='%.1f' cy='%.1f'><title>%s, beta %.3g: KL %.3f, win rate %.3f</title></circle>\n",
               colour(method), x, y, run->method.c_str(), run->beta, run->kl.value, w.value);
  }
  return polyline(points, colour(method), "trained") + marks;
}

/// The win rates shown: whole tenths around everything that is drawn.
inline std::pair<double, double> win_rate_range(const results& all, std::size_t procedure) {
  double low = 0.5, high = 0.5;
  const auto include = [&](double w) { low = std::min(low, w), high = std::max(high, w); };
  for (const policy_run& run : all.runs) include(run.win_rate[procedure].value);
  for (const closed_form_point& c : all.closed_form) include(c.win_rate[procedure]);
  for (const limit_point& l : all.limit) include(l.win_rate[procedure]);
  return {std::floor(10 * low) / 10, std::ceil(10 * high) / 10};
}

/// Five entries a line, the limit last.
inline std::string legend(const results& all) {
  std::string svg;
  const auto x = [](std::size_t i) { return 64 + 200.0 * static_cast<double>(i % 5); };
  const auto y = [](std::size_t i) { return svg_panel::top + svg_panel::height + 66 + 22.0 * static_cast<double>(i / 5); };
  const auto label = [&](std::size_t i, const std::string& text) {
    svg += format("<text class='label' x='%.1f' y='%.1f'>%s</text>\n", x(i) + 14, y(i) + 4, text.c_str());
  };
  for (std::size_t m = 0; m < all.methods.size(); ++m) {
    svg += format("<circle fill='%s' r='5' cx='%.1f' cy='%.1f'/>", colour(m), x(m), y(m));
    label(m, all.methods[m]);
  }
  const std::size_t last = all.methods.size();
  svg += polyline(format("%.1f,%.1f %.1f,%.1f", x(last) - 8, y(last), x(last) + 8, y(last)), "#777", "limit");
  label(last, "limit of any policy (theory)");
  return svg;
}

}  // namespace detail

inline std::string frontier_plot(const results& all) {
  const std::size_t more_lines = (all.methods.size() + 5) / 5 < 2 ? 0 : (all.methods.size() + 5) / 5 - 2;  // of the legend
  const int height = 470 + 22 * static_cast<int>(more_lines);
  std::string svg = format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1110 %d' width='1110' height='%d' role='img'>\n", height, height);
  svg += "<title>Win rate against KL on held-out prompts, by inference-time procedure</title>\n";
  svg += shared::svg_style;
  svg +=
      "<text x='44' y='20'>Win rate against the base policy on held-out prompts. Marks: trained policies (95 % intervals). "
      "Dashed: closed-form optimum on base samples.</text>\n";
  for (std::size_t procedure = 0; procedure < n_procedures; ++procedure) {
    const auto [lowest, highest] = detail::win_rate_range(all, procedure);
    const detail::svg_panel p{44 + 360.0 * static_cast<double>(procedure), lowest, highest, 1.3, 0.25};
    svg += shared::axis(p, detail::titles[procedure]) + detail::limit_line(all, p, procedure);
    for (std::size_t m = 0; m < all.methods.size(); ++m) svg += detail::closed_form_line(all, p, m, procedure);
    for (std::size_t m = 0; m < all.methods.size(); ++m) svg += detail::trained_points(all, p, m, procedure);
  }
  return svg + detail::legend(all) + "</svg>\n";
}

}  // namespace align
