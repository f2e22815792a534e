// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign evaluate`: what the optimal policy for a transform will be worth, from the rewards of base samples alone.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
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
#include "left_out.hpp"
#include "output_file.hpp"
#include "prediction.hpp"
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
  parse_transforms(chosen.transforms);  // before the long part, so that a wrong name shows early
  reward_table reference = read_rewards(chosen.reference, chosen.records);
  left_out without{.missing_rewards = reference.missing};
  if (chosen.short_prompts == "skip") without.short_prompts = drop_short_prompts(std::array<required, 1>{{{&reference, 2}}});
  expect_two(reference);
  infalign::simd on;
  const std::vector<prediction> found =
      predict(chosen.transforms, betas, [&](const infalign::any_transform& transform, double beta) {
        return infalign::evaluate_off_policy(on, reference.groups(), transform, infalign::kl_weight(beta), served.policy,
                                             served.reference);
      });
  write_output("-", chosen.json ? prediction_json(chosen.level, served, found, without).text() + '\n'
                                : report_table(chosen, served, found, without));
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
