// SPDX-License-Identifier: Apache-2.0
/// \file
/// A panel of a picture in SVG: KL to the right, win rate upwards.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "format.hpp"

namespace shared {

/// Where a panel lies on the picture, and how KL and win rate map to it.
struct svg_panel {
  double left;
  double lowest;   ///< smallest win rate shown
  double highest;  ///< largest
  double largest_kl;
  double kl_step;  ///< between two labels

  static constexpr double top = 64, width = 300, height = 300;

  [[nodiscard]] double x(double kl) const { return left + width * kl / largest_kl; }
  [[nodiscard]] double y(double win_rate) const { return top + height * (highest - win_rate) / (highest - lowest); }
  [[nodiscard]] bool shows(double kl) const { return kl <= largest_kl; }
};

/// A colour of middle lightness a method: legible on white and on black.
inline const char* colour(std::size_t method) {
  static constexpr std::array<const char*, 9> colours = {"#8a8a8a", "#3b82d6", "#2fa36b", "#e09b2d", "#dd4f3e",
                                                         "#b06fd8", "#d457a0", "#12a5b8", "#8c6d46"};
  return colours[method % colours.size()];
}

/// Title, grid and labels.
inline std::string axis(const svg_panel& p, const std::string& title) {
  std::string svg = format("<text class='title' x='%.1f' y='%.1f'>%s</text>\n", p.left, svg_panel::top - 14, title.c_str());
  for (double w = p.lowest; w < p.highest + 1e-9; w += 0.1)
    svg += format(
        "<line class='grid' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f'/><text class='tick' text-anchor='end' x='%.1f' "
        "y='%.1f'>%.1f</text>\n",
        p.left, p.left + svg_panel::width, p.y(w), p.y(w), p.left - 6, p.y(w) + 4, w);
  for (double kl = 0; kl < p.largest_kl; kl += p.kl_step)
    svg += format("<text class='tick' text-anchor='middle' x='%.1f' y='%.1f'>%.2f</text>\n", p.x(kl),
                  svg_panel::top + svg_panel::height + 16, kl);
  return svg + format("<text class='label' text-anchor='middle' x='%.1f' y='%.1f'>KL to the base policy (nats)</text>\n",
                      p.left + svg_panel::width / 2, svg_panel::top + svg_panel::height + 36);
}

/// A line through `points` ("x,y x,y …"); `style` is `optimum` (dashed), `trained`, or `limit` (broad and pale).
inline std::string polyline(const std::string& points, const char* stroke, const char* style) {
  return format("<polyline class='%s' stroke='%s' points='", style, stroke) + points + "'/>\n";
}

/// Middle greys that stand out from a white and from a black page; the background stays that of the page.
inline constexpr const char* svg_style =
    "<style>\n"
    "text{font-family:sans-serif;font-size:12px;fill:#777}.title{font-size:15px;font-weight:bold}.tick{font-size:11px}\n"
    ".grid{stroke:#888;stroke-opacity:.3}polyline{fill:none}.optimum{stroke-width:1.4;stroke-dasharray:5 3;stroke-opacity:.8}\n"
    ".trained{stroke-width:1.8}.limit{stroke-width:5;stroke-opacity:.4}\n"
    "@media(prefers-color-scheme:dark){text{fill:#aaa}}\n"
    "</style>\n";

}  // namespace shared
