// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign plan`: which transform to train with, at which KL weight, and what to expect, before anything is trained.

#include "infalign/theory/plan.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "failure.hpp"
#include "json_text.hpp"
#include "output_file.hpp"
#include "plan_plot.hpp"
#include "procedures.hpp"
#include "shared_options.hpp"
#include "text_table.hpp"

namespace command {

namespace {

struct plan_options : procedure_options {
  std::vector<std::string> kls;
  std::optional<double> beta;
  std::vector<std::string> transforms;
  std::string plot;
  bool json = false;
};

/// The transforms with these names. `optimal` is left out, as it is in every plan anyway.
std::vector<infalign::any_transform> chosen_transforms(const std::vector<std::string>& names) {
  if (names.empty()) return infalign::customary_transforms();
  std::vector<infalign::any_transform> transforms;
  for (const std::string& name : names)
    if (name != "optimal")
      transforms.push_back(option_value("--transform", name, [](const auto& text) { return infalign::parse_transform(text); }));
  return transforms;
}

std::string names_of(const std::vector<infalign::any_transform>& transforms) {
  std::string text;
  for (const infalign::any_transform& transform : transforms) text += (text.empty() ? "" : ", ") + transform.name();
  return text;
}

std::vector<infalign::kl_budget> chosen_budgets(const std::vector<double>& kls) {
  std::vector<infalign::kl_budget> budgets;
  for (const double kl : kls) budgets.emplace_back(kl);
  return budgets;
}

/// A plan without any row is no plan.
void expect_rows(const infalign::plan_table& plan, bool by_kl) {
  double least = plan.sections.front().wanted;
  for (const infalign::plan_section& section : plan.sections) {
    least = std::min(least, section.wanted);
    for (const infalign::plan_row& row : section.rows)
      if (row.reached) return;
  }
  if (by_kl) fail("no transform reaches a KL of {}, and no optimum is found there", number(least));
  fail("no optimum is found at beta {}", number(least));
}

std::string json_row(const infalign::plan_row& row, const infalign::plan_section& section, bool by_kl) {
  const double none = std::nan(""), wanted = section.wanted;
  const infalign::tradeoff_point reached =
      row.reached.value_or(infalign::tradeoff_point{by_kl ? none : wanted, by_kl ? wanted : none, none, none});
  return json_object()
      .add("transform", row.transform)
      .add("beta", reached.beta)
      .add("scaled_beta", row.scaled_beta)
      .add("kl", reached.kl)
      .add("inference_win_rate", reached.inference_win_rate)
      .add("standard_win_rate", reached.standard_win_rate)
      .add("price", row.price)
      .add("price_is_bound", row.price_is_bound)
      .add("bound", section.bound)
      .add("bound_proved", section.bound_proved)
      .text();
}

std::string name_of(infalign::optimality proof) {
  if (proof == infalign::optimality::proved_global) return "proved_global";
  return proof == infalign::optimality::best_stationary_point ? "best_stationary_point" : "within_bound";
}

std::string report_json(const infalign::plan_table& plan, const served_procedures& served, bool by_kl) {
  std::string rows;
  for (const infalign::plan_section& section : plan.sections)
    for (const infalign::plan_row& row : section.rows) rows += (rows.empty() ? "" : ", ") + json_row(row, section, by_kl);
  const bool none = plan.recommended.empty();
  return json_object()
             .add("procedure", served.policy.name())
             .add("reference_procedure", served.reference.name())
             .add_raw("rows", "[" + rows + "]")
             .add_raw("recommended", none ? "null" : json_string(plan.recommended))
             .add("price", none ? std::nan("") : plan.price)
             .add("price_is_bound", plan.price_is_bound)
             .add("optimum", name_of(plan.proof))
             .text() +
         '\n';
}

/// Whether a price is more than 0 in the table.
bool shows(double price) {
  return std::round(price * 1e4) > 0;
}

/// What the row `optimal` is where it is no optimum of this KL, or is missing.
std::string footnote(const infalign::plan_section& section, bool by_kl) {
  const std::string where = fmt::format("at {} {:g} ", by_kl ? "KL" : "beta", section.wanted);
  const auto optimal = std::find_if(section.rows.begin(), section.rows.end(),
                                    [](const infalign::plan_row& row) { return row.transform == "optimal"; });
  if (section.proof != infalign::optimality::within_bound || !section.rows.front().reached) return "";
  if (!optimal->reached) return where + "no optimum is found: prices there are against a win rate of 1, which bounds it\n";
  if (shows(optimal->price))
    return where + fmt::format(
                       "no beta leads to an optimum: optimal is the best policy found, and prices there are against a win rate"
                       " of {:.4f}, which bounds it\n",
                       section.bound);
  return where + "optimal spends less, as the rest would gain next to nothing\n";
}

std::string recommendation(const infalign::plan_table& plan) {
  if (plan.recommended.empty()) return "none, as no row is as good as any other at every KL";
  if (plan.price_is_bound && shows(plan.price))
    return fmt::format("{} (as good as any row; at most {:.4f} more is possible)", plan.recommended, plan.price);
  if (plan.recommended == "optimal") return plan.recommended;
  return fmt::format("{} (at most {:.4f} below the optimum)", plan.recommended, plan.price);
}

/// Remarks below the table, on how far its prices and its recommendation are proved.
std::string footnotes(const infalign::plan_table& plan, bool by_kl) {
  std::string text;
  bool proved = true;
  for (const infalign::plan_section& section : plan.sections) {
    text += footnote(section, by_kl);
    proved = proved && section.bound_proved;
  }
  text += "recommended: " + recommendation(plan) + '\n';
  if (!proved)
    text += fmt::format("optimal is the best of the stationary points found; that there is no better one is not proved{}\n",
                        plan.price_is_bound ? ", nor are bounds" : "");
  return text;
}

std::string report_table(const infalign::plan_table& plan, const served_procedures& served, bool by_kl) {
  const auto scaled_beta = [](double beta) { return std::isnan(beta) ? "-" : fmt::format("{:.6g}", beta); };
  text_table table({"transform", "beta", "scaled beta", "KL", served.policy.name(), "standard", "price"});
  for (const infalign::plan_section& section : plan.sections) {
    if (&section != plan.sections.data()) table.add({});
    for (const infalign::plan_row& row : section.rows) {
      if (row.reached)
        table.add({row.transform, fmt::format("{:.6g}", row.reached->beta), scaled_beta(row.scaled_beta),
                   fmt::format("{:.4f}", row.reached->kl), fmt::format("{:.4f}", row.reached->inference_win_rate),
                   fmt::format("{:.4f}", row.reached->standard_win_rate), fmt::format("{:.4f}", row.price)});
      else
        table.add({row.transform, by_kl ? "-" : fmt::format("{:.6g}", section.wanted), "-",
                   by_kl ? fmt::format("{:.4f}", section.wanted) : "-", "-", "-", "-"});
    }
  }
  std::string text = table.text();
  if (served.reference.name() != served.policy.name()) text += fmt::format("reference policy: {}\n", served.reference.name());
  return text + footnotes(plan, by_kl);
}

void run(const plan_options& chosen) {
  const std::vector<double> kls = positive_numbers("--kl", chosen.kls);
  const bool by_kl = !kls.empty();
  if (by_kl == chosen.beta.has_value()) throw usage_failure("one of --kl and --beta is needed (see --help)");
  if (!by_kl) expect_positive("--beta", *chosen.beta);
  expect_no_standard_output("--plot", chosen.plot);
  const served_procedures served = served_procedures::parse(chosen);
  const std::vector<infalign::any_transform> transforms = chosen_transforms(chosen.transforms);
  const infalign::matchup played(served.policy, served.reference);
  const infalign::plan_table plan = by_kl ? infalign::plan(played, chosen_budgets(kls), transforms)
                                          : infalign::plan(played, infalign::kl_weight(*chosen.beta), transforms);
  expect_rows(plan, by_kl);
  if (!chosen.plot.empty()) write_output(chosen.plot, plan_plot(plan, played, transforms));
  write_output("-", chosen.json ? report_json(plan, served, by_kl) : report_table(plan, served, by_kl));
}

constexpr const char* plan_explanation =
    "What the policy that maximises E[transform of the calibrated reward] - beta·KL wins against the base policy, for rewards\n"
    "without ties: then KL and win rates depend on the transform and beta alone. `optimal` is the transform that no other\n"
    "beats; price is what a row wins less at its KL (with --beta: has less of win rate - beta·KL). Where no beta gives a\n"
    "transform the wanted KL, its row has none (null in JSON). Where no beta leads to an optimum of the KL, optimal is the "
    "best\n"
    "policy found within it, and prices are against a win rate that none exceeds (price_is_bound and bound in JSON).\n"
    "beta is the KL weight for the transform as its formula says. scaled beta is that for the transform scaled to a range of "
    "1,\n"
    "(f(u) - f(0))/(f(1) - f(0)): take it where a trainer wants rewards between 0 and 1. Unbounded transforms have none.\n"
    "Recommended is a transform that is within 0.001 of what can be gained of the best row everywhere, or else optimal; of\n"
    "transforms whose prices are alike, the first. For soft_best_of and rewind_and_repeat the optimum need not rise with u.\n"
    "\n";

constexpr const char* plan_examples =
    "Examples:\n"
    "  infalign plan --procedure best_of:4 --kl 0.5,1,2\n"
    "  infalign plan --procedure best_of:4 --reference-procedure standard --kl 1 --plot frontier.svg\n"
    "  infalign plan --procedure worst_of:4 --beta 0.1 --transform exponential:-5 --transform identity --json";

}  // namespace

void add_plan(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "plan", "Transforms ranked for a procedure and a KL budget, the optimum included, before training.");
  const auto chosen = std::make_shared<plan_options>();
  add_procedures(*command, *chosen, "the base policy");
  auto* const kl = command->add_option("--kl", chosen->kls, "KL budgets in nats, X,X,…");
  command->add_option("--beta", chosen->beta, "KL weight, instead of budgets")->excludes(kl);
  command->add_option("--transform", chosen->transforms,
                      "Transforms beside the optimum (default: " + names_of(infalign::customary_transforms()) + ")");
  command->add_option("--plot", chosen->plot, "Write a picture (SVG) of win rate against KL here");
  add_json(*command, chosen->json);
  command->footer(std::string(plan_explanation) + served_procedure_list() + transform_list() + plan_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
