// SPDX-License-Identifier: Apache-2.0
#include "plan_plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>

#include "../shared/svg_panel.hpp"
#include "printable.hpp"

namespace command {

namespace {

using infalign::tradeoff_point;
using shared::colour, shared::format, shared::svg_panel;

struct curve {
  std::string name;
  std::vector<std::optional<tradeoff_point>> points;
};

/// A name as text of XML, no longer than there is room for.
std::string label(const std::string& name, std::size_t longest) {
  std::string text;
  for (const char c : shortened(name, longest)) {
    if (c == '&')
      text += "&amp;";
    else if (c == '<')
      text += "&lt;";
    else
      text += c;
  }
  return text;
}

/// KLs from the base policy's 0 on, denser there because win rates rise steeply.
std::vector<infalign::kl_budget> grid(double largest_kl) {
  constexpr int points = 32;
  std::vector<infalign::kl_budget> all;
  for (int i = 1; i <= points; ++i) all.emplace_back(largest_kl * i * i / (points * points));
  return all;
}

double win_rate(const tradeoff_point& point, std::size_t panel) {
  return panel == 0 ? point.inference_win_rate : point.standard_win_rate;
}

std::string line(const curve& drawn, const svg_panel& p, std::size_t panel, std::size_t method) {
  std::string points = format("%.1f,%.1f", p.x(0), p.y(0.5));
  for (const auto& point : drawn.points)
    if (point) points += format(" %.1f,%.1f", p.x(point->kl), p.y(win_rate(*point, panel)));
  return shared::polyline(points, colour(method), drawn.name == "optimal" ? "optimum" : "trained");
}

std::string marks(const infalign::plan_table& plan, const std::string& name, const svg_panel& p, std::size_t panel,
                  std::size_t method) {
  std::string svg;
  for (const infalign::plan_section& section : plan.sections)
    for (const infalign::plan_row& row : section.rows)
      if (row.transform == name && row.reached)
        svg += format(
            "<circle fill='%s' r='3.2' cx='%.1f' cy='%.1f'><title>%s, beta %.4g: KL %.3f, win rate %.4f</title></circle>\n",
            colour(method), p.x(row.reached->kl), p.y(win_rate(*row.reached, panel)), label(name, 200).c_str(),
            row.reached->beta, row.reached->kl, win_rate(*row.reached, panel));
  return svg;
}

double furthest(const infalign::plan_table& plan) {
  double kl = 0;
  for (const infalign::plan_section& section : plan.sections)
    for (const infalign::plan_row& row : section.rows)
      if (row.reached) kl = std::max(kl, row.reached->kl);
  return kl;
}

/// The win rates shown: whole tenths around everything that is drawn.
svg_panel panel_of(const std::vector<curve>& curves, std::size_t panel, double largest_kl) {
  double low = 0.5, high = 0.5;
  for (const curve& drawn : curves)
    for (const auto& point : drawn.points)
      if (point) low = std::min(low, win_rate(*point, panel)), high = std::max(high, win_rate(*point, panel));
  const double step = std::pow(10, std::floor(std::log10(largest_kl / 2)));
  const double labels = largest_kl / step;
  return {44 + 400.0 * static_cast<double>(panel), std::floor(10 * low) / 10, std::min(1.0, std::ceil(10 * high + 1e-9) / 10),
          largest_kl,
          labels > 10  ? 5 * step
          : labels > 4 ? 2 * step
                       : step};
}

}  // namespace

std::string plan_plot(const infalign::plan_table& plan, const infalign::matchup& played,
                      const std::vector<infalign::any_transform>& transforms) {
  const double largest_kl = 1.2 * furthest(plan);
  const std::vector<infalign::kl_budget> budgets = grid(largest_kl);
  std::vector<curve> curves;
  for (const infalign::any_transform& transform : transforms)
    curves.push_back({transform.name(), infalign::frontier(played, transform, budgets)});
  curves.push_back({"optimal", infalign::optimal_frontier(played, budgets)});

  const double legend_top = svg_panel::top + svg_panel::height + 64;
  const double height = legend_top + 20 * std::ceil(static_cast<double>(curves.size()) / 4) + 6;
  std::string svg = format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 800 %.0f' width='800' height='%.0f' role='img'>\n", height, height);
  svg += "<title>Win rate against KL before training, by transform</title>\n";
  svg += shared::svg_style;
  svg += "<text x='44' y='20'>Win rate against the base policy. Dashed: the optimal transform. Marks: the plan.</text>\n";
  const std::array<std::string, 2> titles = {played.name(), "standard sampling"};
  for (std::size_t panel = 0; panel < titles.size(); ++panel) {
    const svg_panel p = panel_of(curves, panel, largest_kl);
    svg += shared::axis(p, label(titles[panel], 40));
    for (std::size_t m = 0; m < curves.size(); ++m)
      svg += line(curves[m], p, panel, m) + marks(plan, curves[m].name, p, panel, m);
  }
  for (std::size_t m = 0; m < curves.size(); ++m) {
    const double x = 64 + 180.0 * static_cast<double>(m % 4), y = legend_top + 20.0 * static_cast<double>(m / 4);
    svg += format("<circle fill='%s' r='5' cx='%.1f' cy='%.1f'/><text class='label' x='%.1f' y='%.1f'>%s</text>\n", colour(m),
                  x, y, x + 10, y + 4, label(curves[m].name, 26).c_str());
  }
  return svg + "</svg>\n";
}

}  // namespace command
