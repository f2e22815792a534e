// SPDX-License-Identifier: Apache-2.0
/// \file
/// The table for people and results.json for programs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "../shared/format.hpp"
#include "results.hpp"
#include "served_report.hpp"

namespace align {

using shared::format;

namespace detail {

/// The names of methods in a column of at least 15 characters.
inline int name_width(const results& all) {
  std::size_t width = 15;
  for (const std::string& name : all.methods) width = std::max(width, name.size());
  return static_cast<int>(width);
}

inline std::string policies_table(const results& all) {
  const int width = name_width(all);
  std::string text =
      format("%-*s %6s   %-14s %-14s %-14s %-14s\n", width, "method", "beta", "KL", "standard", "best of 4", "worst of 4");
  std::string previous;
  for (const policy_run& run : all.runs) {
    if (!previous.empty() && run.method != previous) text += "\n";
    text += format("%-*s %6.3f   %5.3f \u00b1 %.3f ", width, run.method.c_str(), run.beta, run.kl.value, run.kl.standard_error);
    for (const infalign::estimate& w : run.win_rate) text += format("  %5.3f \u00b1 %.3f", w.value, w.standard_error);
    text += "\n";
    previous = run.method;
  }
  return text;
}

inline std::string comparisons_table(const results& all) {
  const int width = name_width(all);
  std::size_t of_baselines = 10;
  for (const comparison& c : all.comparisons) of_baselines = std::max(of_baselines, c.baseline.size());
  const auto baseline_width = static_cast<int>(of_baselines);
  std::string text = format("%-12s %-*s %-*s %6s   %9s   %s\n", "procedure", width, "method", baseline_width, "baseline", "KL",
                            "points", "95 % interval");
  std::string previous;
  for (const comparison& c : all.comparisons) {
    if (!previous.empty() && c.procedure + c.baseline != previous) text += "\n";
    const auto interval = c.difference.interval(0.95);
    text += format("%-12s %-*s %-*s %6.3f   %+9.2f   %+6.2f \u2026 %+6.2f\n", c.procedure.c_str(), width, c.method.c_str(),
                   baseline_width, c.baseline.c_str(), c.kl, 100 * c.difference.value, 100 * interval.low, 100 * interval.high);
    previous = c.procedure + c.baseline;
  }
  return text;
}

inline std::string closed_form_table(const results& all) {
  const int width = name_width(all);
  std::string text =
      format("%-*s %10s %6s   %9s %9s %9s\n", width, "method", "beta", "KL", "standard", "best of 4", "worst of 4");
  for (const std::string& method : all.methods) {
    const closed_form_point& p = closed_form_at(all, method, matched_kl);
    text += format("%-*s %10.4f %6.3f   %9.3f %9.3f %9.3f\n", width, method.c_str(), p.beta, p.kl, p.win_rate[0], p.win_rate[1],
                   p.win_rate[2]);
  }
  return text;
}

/// Every cell has three numbers: predicted, measured for the closed-form policy, measured for the trained one.
inline std::string predictions_table(const results& all) {
  const int width = name_width(all);
  std::string text = format("%-*s %6s   %-17s   %-17s   %-17s   %-17s   %s\n", width, "method", "beta", "KL", "standard",
                            "best of 4", "worst of 4", "differs by");
  for (std::size_t i = 0; i < all.predictions.size(); ++i) {
    const prediction& p = all.predictions[i];
    const policy_run& trained = all.runs[i];
    if (i > 0 && all.runs[i - 1].method != trained.method) text += "\n";
    text += format("%-*s %6.3f   %.3f %.3f %.3f", width, trained.method.c_str(), trained.beta, p.predicted.kl.value,
                   p.tabular.kl.value, trained.kl.value);
    for (std::size_t w = 0; w < n_procedures; ++w)
      text +=
          format("   %.3f %.3f %.3f", p.predicted.win_rate[w].value, p.tabular.win_rate[w].value, trained.win_rate[w].value);
    text += format("   %6.1f\n", p.largest_deviation());
  }
  return text;
}

/// `items` joined by commas, one a line.
template <class Items, class Write>
std::string json_array(const Items& items, Write&& write) {
  std::string text;
  for (const auto& item : items) {
    text += text.empty() ? "\n    " : ",\n    ";
    text += write(item);
  }
  return "[" + text + "\n  ]";
}

inline std::string json_run(const policy_run& run) {
  std::string win_rates;
  for (std::size_t i = 0; i < n_procedures; ++i)
    win_rates += format("%s\"%s\": {\"value\": %.6f, \"standard_error\": %.6f}", i == 0 ? "" : ", ", procedure_names[i],
                        run.win_rate[i].value, run.win_rate[i].standard_error);
  return format("{\"method\": \"%s\", \"beta\": %.6g, \"kl\": %.6f, \"kl_standard_error\": %.6f, \"win_rate\": {",
                run.method.c_str(), run.beta, run.kl.value, run.kl.standard_error) +
         win_rates + "}}";
}

inline std::string json_comparison(const comparison& c) {
  const auto interval = c.difference.interval(0.95);
  return format(
      "{\"procedure\": \"%s\", \"method\": \"%s\", \"baseline\": \"%s\", \"kl\": %.6f, \"difference\": %.6f, "
      "\"confidence_interval\": [%.6f, %.6f]}",
      c.procedure.c_str(), c.method.c_str(), c.baseline.c_str(), c.kl, c.difference.value, interval.low, interval.high);
}

inline std::string json_prediction(const prediction& p) {
  return "{\"predicted\": " + json_run(p.predicted) + ", \"tabular\": " + json_run(p.tabular) +
         format(", \"largest_deviation\": %.3f}", p.largest_deviation());
}

inline std::string json_limit(const limit_point& p) {
  std::string win_rates;
  for (std::size_t i = 0; i < n_procedures; ++i)
    win_rates += format("%s\"%s\": %.6f", i == 0 ? "" : ", ", procedure_names[i], p.win_rate[i]);
  return format("{\"kl\": %.6f, \"win_rate\": {", p.kl) + win_rates + "}}";
}

inline std::string json_closed_form(const closed_form_point& p) {
  std::string win_rates;
  for (std::size_t i = 0; i < n_procedures; ++i)
    win_rates += format("%s\"%s\": %.6f", i == 0 ? "" : ", ", procedure_names[i], p.win_rate[i]);
  return format("{\"method\": \"%s\", \"beta\": %.6g, \"kl\": %.6f, \"win_rate\": {", p.method.c_str(), p.beta, p.kl) +
         win_rates + "}}";
}

}  // namespace detail

/// What a reader needs: the trained policies, the comparison at matched KL, and what the closed form says is possible.
inline std::string table(const results& all) {
  return format(
             "%zu training prompts, %zu held out; the reward model ranks %.1f %% of held-out preferences as the dictionary "
             "does\n\n",
             all.train_prompts, all.held_out_prompts, 100 * all.preference_accuracy) +
         "Trained policies against the base policy, held-out prompts: win rate \u00b1 standard error\n\n" +
         detail::policies_table(all) +
         "\nDifference in win rate at matched KL, paired over held-out prompts, in percentage points\n\n" +
         detail::comparisons_table(all) +
         format("\nClosed-form optimal policies on base samples of the held-out prompts, at KL %.1f\n\n", matched_kl) +
         detail::closed_form_table(all) +
         "\nForetold from base samples alone, then measured: for the closed-form policy on the prompts' own samples, and for "
         "the "
         "trained\npolicy. On the right the largest difference of the first two, of four, in standard errors\n\n" +
         detail::predictions_table(all) + "\n" + detail::served_section(all);
}

inline std::string json(const results& all) {
  return format("{\n  \"seed\": %llu,\n  \"prompts\": {\"train\": %zu, \"held_out\": %zu},\n  \"preference_accuracy\": %.6f,\n",
                static_cast<unsigned long long>(all.seed), all.train_prompts, all.held_out_prompts, all.preference_accuracy) +
         "  \"runs\": " + detail::json_array(all.runs, detail::json_run) +
         ",\n  \"matched_kl\": " + detail::json_array(all.comparisons, detail::json_comparison) +
         ",\n  \"closed_form\": " + detail::json_array(all.closed_form, detail::json_closed_form) +
         ",\n  \"limit\": " + detail::json_array(all.limit, detail::json_limit) +
         ",\n  \"predictions\": " + detail::json_array(all.predictions, detail::json_prediction) +
         format(",\n  \"prefix_scorer\": {\"error\": %.6f, \"spread\": %.6f}", all.prefix_scorer.error,
                all.prefix_scorer.spread) +
         ",\n  \"served\": " + detail::json_array(all.served, detail::json_served) + "\n}\n";
}

}  // namespace align
