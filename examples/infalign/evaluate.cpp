// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign evaluate`: what the optimal policy for a transform will be worth, from the rewards of base samples alone.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "commands.hpp"
#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/off_policy.hpp"
#include "infalign/transform/any_transform.hpp"
#include "left_out.hpp"
#include "output_file.hpp"
#include "procedures.hpp"
#include "record_options.hpp"
#include "shared_options.hpp"
#include "text_table.hpp"

namespace command {

namespace {

struct evaluate_options : procedure_options, report_options {
  record_options records;
  std::string short_prompts = "error";
  std::string reference;
  std::vector<std::string> transforms;
  std::vector<std::string> betas;
};

struct prediction {
  std::string transform;
  double beta;
  infalign::off_policy_evaluation expected;
};

std::vector<infalign::any_transform> parse_transforms(const std::vector<std::string>& names) {
  std::vector<infalign::any_transform> transforms;
  for (const std::string& name : names)
    transforms.push_back(option_value("--transform", name, [](const auto& text) { return infalign::parse_transform(text); }));
  return transforms;
}

/// Every prompt needs two rewards, because the prediction leaves each out in turn (the jackknife).
void expect_two(const reward_table& reference) {
  for (std::size_t p = 0; p < reference.prompts.size(); ++p)
    if (reference.count(p) < 2)
      fail("{}:{}: prompt {} has 1 reward, a prediction needs at least 2 (--short skip leaves it out)", reference.name,
           reference.first_line[p], reference.prompts.shown(p));
}

/// Fails where a prediction is not finite: a very steep transform can leave the range of `double`.
void expect_finite(const prediction& of) {
  const auto check = [&](const char* what, const infalign::off_policy_value& found) {
    for (const double value : {found.corrected.value, found.plug_in.value})
      if (!std::isfinite(value))
        fail("{} at beta {}: the predicted {} is not finite, this transform is too steep to be evaluated", of.transform,
             number(of.beta), what);
  };
  check("KL", of.expected.kl);
  check("inference-time win rate", of.expected.inference_win_rate);
  check("standard win rate", of.expected.standard_win_rate);
}

/// The prediction, cut to its range: a correction of the bias may have left it.
double shown(const infalign::estimate& of) {
  return std::clamp(of.value, of.lowest, of.highest);
}

std::string report_json(const evaluate_options& chosen, const procedures& served, const std::vector<prediction>& found,
                        const left_out& without) {
  const auto value = [&](const infalign::off_policy_value& v) {
    json_object all;
    const auto interval = v.interval(chosen.level);
    all.add("value", shown(v.corrected)).add("standard_error", v.corrected.standard_error);
    add_interval(all, v.corrected, interval);
    return all.add("plug_in", v.plug_in.value).add("bias", v.bias()).add("unseen", v.unseen);
  };
  std::string rows;
  for (const prediction& p : found) {
    json_object row;
    row.add("transform", p.transform)
        .add("beta", p.beta)
        .add("kl", value(p.expected.kl))
        .add("inference_win_rate", value(p.expected.inference_win_rate))
        .add("standard_win_rate", value(p.expected.standard_win_rate))
        .add("effective_samples", p.expected.effective_samples.value)
        .add("thin_prompts", static_cast<long long>(p.expected.thin_prompts))
        .add("blind_prompts", static_cast<long long>(p.expected.blind_prompts))
        .add("reliable", p.expected.reliable());
    if (!p.expected.reliable()) row.add("doubt", std::string(p.expected.doubt()));
    rows += (rows.empty() ? "" : ", ") + row.text();
  }
  json_object all;
  all.add("procedure", served.policy.name())
      .add("reference_procedure", served.reference.name())
      .add("prompts", static_cast<long long>(found.front().expected.kl.corrected.count))
      .add("level", chosen.level);
  add_left_out(all, without);
  all.add_raw("rows", "[" + rows + "]");
  return all.text() + '\n';
}

std::string report_table(const evaluate_options& chosen, const procedures& served, const std::vector<prediction>& found,
                         const left_out& without) {
  const std::string interval = fmt::format("{:g} % interval", 100 * chosen.level);
  text_table table({"transform", "beta", "KL", interval, served.policy.name(), interval, "standard", interval, ""});
  std::vector<std::string_view> doubts;
  for (const prediction& p : found) {
    std::vector<std::string> row{p.transform, fmt::format("{:g}", p.beta)};
    for (const auto* value : {&p.expected.kl, &p.expected.inference_win_rate, &p.expected.standard_win_rate}) {
      row.push_back(fmt::format("{:.4f}", shown(value->corrected)));
      row.push_back(interval_text(value->corrected, value->interval(chosen.level)));
    }
    row.push_back(p.expected.reliable() ? "" : "*");
    if (!p.expected.reliable() && std::find(doubts.begin(), doubts.end(), p.expected.doubt()) == doubts.end())
      doubts.push_back(p.expected.doubt());
    table.add(std::move(row));
  }
  std::string text =
      table.text() +
      fmt::format("{} prompts; reference policy: {}\n", found.front().expected.kl.corrected.count, served.reference.name()) +
      left_out_text(without);
  for (const std::string_view doubt : doubts) text += fmt::format("* {}\n", doubt);
  return text;
}

void run(const evaluate_options& chosen) {
  check_level(chosen.level);
  const std::vector<double> betas = positive_numbers("--beta", chosen.betas);
  check(chosen.records);
  const procedures served = procedures::parse(chosen);
  const std::vector<infalign::any_transform> transforms = parse_transforms(chosen.transforms);
  reward_table reference = read_rewards(chosen.reference, chosen.records);
  left_out without{.missing_rewards = reference.missing};
  if (chosen.short_prompts == "skip") without.short_prompts = drop_short_prompts(std::array<required, 1>{{{&reference, 2}}});
  expect_two(reference);
  infalign::simd on;
  std::vector<prediction> found;
  for (const infalign::any_transform& transform : transforms)
    for (const double beta : betas) {
      found.push_back({transform.name(), beta,
                       infalign::evaluate_off_policy(on, reference.groups(), transform, infalign::kl_weight(beta),
                                                     served.policy, served.reference)});
      expect_finite(found.back());
    }
  write_output("-", chosen.json ? report_json(chosen, served, found, without) : report_table(chosen, served, found, without));
}

constexpr const char* evaluate_explanation =
    "Predicts KL and win rates of the policy that maximises E[transform of the calibrated reward] - beta·KL, without training\n"
    "it. The bias of few samples a prompt is taken out; plug_in in the JSON is the value with it. Intervals hold the error "
    "over\n"
    "prompts, the bias that may be left, and what a reward may change that was not sampled. Predictions are marked, with the\n"
    "reason, where the samples cannot say: too few of them where the policy would put its mass, or too few prompts.\n"
    "\n"
    "A prompt needs at least two rewards; --transform and --beta may be given several times.\n"
    "\n";

constexpr const char* evaluate_examples =
    "Examples:\n"
    "  infalign evaluate --reference base.jsonl --procedure best_of:4 --beta 0.1 --transform identity\n"
    "  infalign evaluate --reference base.jsonl --procedure best_of:4 --beta 5000,10000 --transform exponential:10 --json";

}  // namespace

void add_evaluate(CLI::App& program) {
  CLI::App* const command =
      program.add_subcommand("evaluate", "KL and win rates of the optimal policy, predicted from samples of the base policy.");
  const auto chosen = std::make_shared<evaluate_options>();
  command->add_option("--reference", chosen->reference, "Rewards of samples of the base policy; - for standard input")
      ->required();
  add_procedures(*command, *chosen, "the base policy");
  command->add_option("--transform", chosen->transforms, "Transforms of the calibrated reward")->required();
  command->add_option("--beta", chosen->betas, "KL weights, X,X,…")->required();
  add_record_options(*command, chosen->records);
  add_short(*command, chosen->short_prompts);
  add_report(*command, *chosen);
  command->footer(records_help() + evaluate_explanation + procedure_list() + transform_list() + evaluate_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
