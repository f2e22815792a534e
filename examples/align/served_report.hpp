// SPDX-License-Identifier: Apache-2.0
/// \file
/// The part of the report on procedures that are run.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "../shared/format.hpp"
#include "results.hpp"

namespace align::detail {

using shared::format;

inline std::string legend_of_procedures() {
  std::string text;
  for (const served_procedure& p : served_procedures) text += format("  %-16s %s\n", p.name, p.what);
  return text;
}

/// The KL of a policy that was trained; 0 for the base.
inline double kl_of(const results& all, const served_result& r) {
  for (const policy_run& run : all.runs)
    if (run.method == r.policy && run.beta == r.beta) return run.kl.value;
  return 0;
}

/// `value ± standard error`, or a dash.
inline std::string with_error(const std::optional<infalign::estimate>& e) {
  return e ? format("%5.3f \u00b1 %.3f", e->value, e->standard_error) : format("%13s", "-");
}
inline std::string or_dash(const char* how, std::optional<double> value) {
  return value ? format(how, *value) : "-";
}

inline std::string served_table(const results& all) {
  std::string text = format("%-16s %-13s %8s %8s %8s   %-14s %7s %7s %7s\n", "", "one sample", "foretold", "differs", "optimum",
                            "same procedure", "samples", "scores", "tokens");
  double farthest = 0;
  int compared = 0;
  for (const served_result& r : all.served) {
    if (r.procedure == 0)
      text +=
          "\n" + (r.beta == 0 ? "base policy\n" : format("%s, beta %.3g, KL %.2f\n", r.policy.c_str(), r.beta, kl_of(all, r)));
    std::optional<double> foretold, deviation;
    if (r.foretold) foretold = r.foretold->value, deviation = r.deviation();
    text += format("%-16s ", served_procedures[r.procedure].name) + with_error(r.win_rate) +
            format(" %8s %8s %8s   ", or_dash("%.3f", foretold).c_str(), or_dash("%+.1f", deviation).c_str(),
                   or_dash("%.3f", r.optimum).c_str()) +
            with_error(r.same_win_rate) + format("  %7.2f %7.1f %7.1f\n", r.samples, r.scores, r.tokens);
    if (deviation) farthest = std::max(farthest, std::abs(*deviation)), ++compared;
  }
  return text + format("\nOf the %d pairs of measured and foretold, the farthest apart are %.1f standard errors.\n", compared,
                       farthest);
}

inline std::string served_section(const results& all) {
  return "Procedures that run, on held-out prompts\n\n" + legend_of_procedures() +
         format(
             "\nThe prefix scorer foretells the calibrated reward of what the base policy makes of a prefix; it was learned on "
             "training prompts.\nIts error on held-out prompts is %.3f, that of a constant %.3f.\n\n",
             all.prefix_scorer.error, all.prefix_scorer.spread) +
         "one sample      win rate \u00b1 standard error against one sample of the base policy; the mean calibrated reward as "
         "well\n"
         "foretold        the same by the procedure's formula from plain samples of the policy; differs: by so many standard "
         "errors\n"
         "optimum         the same by theory alone: of the optimal policy for the transform and beta, where rewards have no "
         "ties\n"
         "same procedure  win rate against the base policy served by the same procedure\n"
         "samples \u2026       for one response: samples (of decoding: blocks, letters), scores of samples or prefixes, "
         "tokens\n\n" +
         served_table(all);
}

inline std::string json_served(const served_result& r) {
  const auto estimate = [](const char* name, const std::optional<infalign::estimate>& e) {
    return e ? format("\"%s\": {\"value\": %.6f, \"standard_error\": %.6f}, ", name, e->value, e->standard_error) : "";
  };
  return format("{\"policy\": \"%s\", \"beta\": %.6g, \"procedure\": \"%s\", ", r.policy.c_str(), r.beta,
                served_procedures[r.procedure].name) +
         estimate("win_rate", r.win_rate) + estimate("foretold", r.foretold) + estimate("difference", r.difference) +
         (r.optimum ? format("\"optimum\": %.6f, ", *r.optimum) : "") + estimate("same_procedure_win_rate", r.same_win_rate) +
         format("\"samples\": %.4f, \"scores\": %.4f, \"tokens\": %.4f}", r.samples, r.scores, r.tokens);
}

}  // namespace align::detail
