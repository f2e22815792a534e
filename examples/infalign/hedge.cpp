// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign hedge`: how far a proxy may be optimised: the N, μ or λ at which the true reward of what the proxy selects is largest.

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
#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/hedge.hpp"
#include "infalign/statistics/choose_on_curve.hpp"
#include "output_file.hpp"
#include "paired_table.hpp"
#include "prompt_mean.hpp"
#include "record_options.hpp"
#include "shared_options.hpp"
#include "text_table.hpp"

namespace command {

namespace {

using infalign::index_t;

struct hedge_options : report_options {
  record_options records;
  std::string file;
  std::string proxy_field, true_field;
  std::string value = "reward";
  std::string short_prompts = "error";
  std::optional<index_t> most;  ///< by default as many as the smallest prompt allows, at most 64
  std::optional<index_t> soft;  ///< N of soft best-of-N
};

/// One family of procedures: its parameters, and what each is worth.
struct family {
  std::string name;
  const char* symbol;
  std::vector<double> parameters;
  infalign::curve_choice choice;
};

std::string parameter_text(double value) {
  return fmt::format("{:.4g}", value);
}

/// The largest N, from what is wanted and what the prompts have. `extra`: samples that are needed beside the N.
index_t largest_n(const hedge_options& chosen, paired_table& table, index_t extra) {
  constexpr index_t usual = 64;
  const index_t needed = std::max(chosen.most.value_or(1), chosen.soft.value_or(1)) + extra;
  if (chosen.short_prompts == "skip") table.drop_short(needed);
  index_t fewest = table.count(0);
  std::size_t where = 0;
  for (std::size_t p = 1; p < table.prompts.size(); ++p)
    if (table.count(p) < fewest) fewest = table.count(p), where = p;
  if (fewest < needed)
    fail("{}: prompt {} has {} sample{}, fewer than the {} that are needed (--short skip leaves it out)", table.name,
         table.prompts.shown(where), fewest, fewest == 1 ? "" : "s", needed);
  return chosen.most.value_or(std::min(usual, fewest - extra));
}

class evaluation {
 public:
  evaluation(const hedge_options& chosen, const paired_table& table) : chosen_(chosen), table_(table) {}

  family best_of(index_t most) {
    family of{"best_of", "N", {}, {}};
    for (index_t n = 1; n <= most; ++n) of.parameters.push_back(static_cast<double>(n));
    curve_.resize(table_.prompts.size() * of.parameters.size());
    if (chosen_.value == "win-rate")
      infalign::proxy_win_rate_curve(on_, proxy(), truth(), infalign::rows<double>(curve_.data(), prompts(), most));
    else
      infalign::proxy_reward_curve(on_, proxy(), truth(), infalign::rows<double>(curve_.data(), prompts(), most));
    of.choice = choose(curve_, most);
    return of;
  }
  /// From the curve of `best_of`. Means so large that the last N would stand for many more are left out.
  family best_of_poisson(index_t most) {
    family of{"best_of_poisson", "μ", {}, {}};
    constexpr int steps = 32;
    const auto n = static_cast<double>(most);
    const double largest = std::pow(std::sqrt(n + 3) - 2, 2);  // where μ + 1 + 4√μ is the last N
    for (int i = 0; i <= steps; ++i) of.parameters.push_back(largest * i / steps);
    std::vector<double> out(table_.prompts.size() * of.parameters.size());
    const auto columns = static_cast<index_t>(of.parameters.size());
    infalign::best_of_poisson_curve(on_, infalign::rows<const double>(curve_.data(), prompts(), most),
                                    infalign::span<const double>(of.parameters),
                                    infalign::rows<double>(out.data(), prompts(), columns));
    of.choice = choose(out, columns);
    return of;
  }
  family soft_best_of() {
    family of{fmt::format("soft_best_of:{}", *chosen_.soft), "λ", {}, {}};
    const double range = largest_range();
    for (int i = 0; i <= 24 && range > 0; ++i) of.parameters.push_back(range * std::pow(2.0, 2 - 0.25 * i));
    if (of.parameters.empty()) of.parameters.push_back(1);
    std::vector<double> out(table_.prompts.size() * of.parameters.size());
    const auto columns = static_cast<index_t>(of.parameters.size());
    infalign::soft_best_of_curve(on_, proxy(), truth(), *chosen_.soft, of.parameters,
                                 infalign::rows<double>(out.data(), prompts(), columns));
    of.choice = choose(out, columns);
    return of;
  }

 private:
  [[nodiscard]] index_t prompts() const { return static_cast<index_t>(table_.prompts.size()); }
  [[nodiscard]] infalign::ragged<const double> proxy() const { return {table_.first, table_.offsets}; }
  [[nodiscard]] infalign::ragged<const double> truth() const { return {table_.second, table_.offsets}; }
  [[nodiscard]] double largest_range() const {
    double range = 0;
    for (index_t p = 0; p < prompts(); ++p) {
      const auto own = proxy()[p];
      const auto [low, high] = std::minmax_element(own.begin(), own.end());
      range = std::max(range, *high - *low);
    }
    return range;
  }
  [[nodiscard]] infalign::curve_choice choose(const std::vector<double>& curve, index_t columns) const {
    return infalign::choose_on_curve(infalign::rows<const double>(curve.data(), prompts(), columns), chosen_.level,
                                     chosen_.value == "win-rate" ? infalign::win_rate_range : infalign::quantity_range{},
                                     table_.clusters);
  }

  const hedge_options& chosen_;
  const paired_table& table_;
  infalign::simd on_;
  std::vector<double> curve_;
};

std::string family_json(const hedge_options& chosen, const family& of) {
  const auto at = [&](index_t i) { return of.parameters[static_cast<std::size_t>(i)]; };
  json_object found;
  found.add("procedure", of.name).add("parameter", std::string(of.symbol));
  const auto [low, high] = std::minmax({at(of.choice.first), at(of.choice.last)});
  found.add("best", at(of.choice.step)).add_raw("may_be", fmt::format("[{}, {}]", number(low), number(high)));
  found.add("value", of.choice.value.value);
  add_error(found, of.choice.value, chosen.level);
  std::string curve;
  for (std::size_t i = 0; i < of.parameters.size(); ++i)
    curve += (i == 0 ? "" : ", ") + json_object()
                                        .add(of.symbol, of.parameters[i])
                                        .add("value", of.choice.curve[i].value)
                                        .add("standard_error", of.choice.curve[i].standard_error)
                                        .text();
  return found.add_raw("curve", "[" + curve + "]").text();
}

std::string report(const hedge_options& chosen, const paired_table& table, const std::vector<family>& families) {
  if (chosen.json) {
    json_object found;
    found.add("prompts", static_cast<long long>(table.prompts.size()));
    if (!table.clusters.empty()) found.add("clusters", static_cast<long long>(families.front().choice.value.count));
    std::string list;
    for (const family& of : families) list += (list.empty() ? "" : ", ") + family_json(chosen, of);
    return found.add("of", chosen.value)
               .add_raw("procedures", "[" + list + "]")
               .add("missing_samples", static_cast<long long>(table.missing))
               .add("short_prompts", static_cast<long long>(table.short_prompts))
               .add("level", chosen.level)
               .text() +
           '\n';
  }
  text_table out(
      {"procedure", "best", "may be", "true " + chosen.value, "s.e.", fmt::format("{:g} % interval", 100 * chosen.level)});
  const auto cells = [&](const std::string& name, const std::string& best, const std::string& range,
                         const infalign::estimate& e) {
    out.add({name, best, range, value_text(e), error_text(e), interval_text(e, chosen.level)});
  };
  for (const family& of : families) {
    const auto at = [&](index_t i) { return of.parameters[static_cast<std::size_t>(i)]; };
    const auto [low, high] = std::minmax({at(of.choice.first), at(of.choice.last)});
    cells(of.name, fmt::format("{} = {}", of.symbol, parameter_text(at(of.choice.step))),
          fmt::format("{} … {}", parameter_text(low), parameter_text(high)), of.choice.value);
  }
  const family& plain = families.front();
  cells("standard", "", "", plain.choice.curve.front());
  cells(fmt::format("best_of:{}", plain.parameters.size()), "", "", plain.choice.curve.back());
  std::string below = fmt::format("{} prompt{}\n", table.prompts.size(), table.prompts.size() == 1 ? "" : "s");
  if (table.missing > 0) below += fmt::format("left out: {} samples with a missing reward\n", table.missing);
  if (table.short_prompts > 0) below += fmt::format("left out: {} prompts with too few samples\n", table.short_prompts);
  return out.text() + below + clusters_text(chosen.records, plain.choice.value);
}

void run(const hedge_options& chosen) {
  check_level(chosen.level);
  if (chosen.file == "-") throw usage_failure("the file is read twice, so it cannot be standard input");
  expect_at_least_one("--most", chosen.most);
  expect_at_least_one("--soft", chosen.soft);
  record_options records = chosen.records;
  for (const std::string& field : {chosen.proxy_field, chosen.true_field}) {
    records.reward_field = field;
    check(records);
  }
  if (chosen.soft && chosen.value == "win-rate") throw usage_failure("--soft: has a true reward, but no win rate yet");
  paired_table table = read_pairs(chosen.file, chosen.records, chosen.proxy_field, chosen.true_field);
  const index_t most = largest_n(chosen, table, chosen.value == "win-rate" ? 1 : 0);
  evaluation of(chosen, table);
  std::vector<family> families{of.best_of(most), of.best_of_poisson(most)};
  if (chosen.soft) families.push_back(of.soft_best_of());
  write_output("-", report(chosen, table, families));
}

constexpr const char* hedge_explanation =
    "Of N samples the one with the largest proxy is served, and its true reward is what counts. Up to some N more samples are\n"
    "better, beyond it they find what the proxy likes too much. Every record has both rewards of its samples, as two numbers "
    "or\n"
    "as two lists of the same length. The value of best_of:N is estimated without bias for every N up to --most, as the mean\n"
    "over all N-subsets of a prompt's samples; samples with equal proxies share what is served of them. best_of_poisson:μ "
    "takes\n"
    "the best of 1 + Poisson(μ), and at most of --most. --soft N adds soft best-of-N, which serves a sample with a "
    "probability\n"
    "proportional to e^(proxy/λ). --value win-rate counts how often what is served beats one more plain sample of the same\n"
    "prompt by the true reward, ties one half: it needs one sample more than --most.\n"
    "\n"
    "\"best\" has the largest mean over prompts. \"may be\" spans all values that are not significantly worse, paired by "
    "prompt\n"
    "and corrected for their number: it holds the true best one with the probability of --level. The prompt is the unit of\n"
    "sampling, or the cluster with --cluster FIELD.\n"
    "\n";

constexpr const char* hedge_examples =
    "Examples:\n"
    "  infalign hedge samples.jsonl --proxy-field scores.reward_model --true-field scores.gold\n"
    "  infalign hedge samples.jsonl --proxy-field proxy --true-field gold --value win-rate --most 32 --json\n"
    "  infalign hedge samples.jsonl --proxy-field proxy --true-field passed --soft 16 --missing skip";

}  // namespace

void add_hedge(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "hedge", "How far a proxy reward may be optimised: the best-of-N at which the true reward is largest.");
  const auto chosen = std::make_shared<hedge_options>();
  command->add_option("file,--rewards", chosen->file, "The file with both rewards of every sample")->required();
  command->add_option("--proxy-field", chosen->proxy_field, "Field with the reward that selects; a.b is b within a")
      ->required();
  command->add_option("--true-field", chosen->true_field, "Field with the reward that counts")->required();
  command->add_option("--value", chosen->value, "What is reported: the true reward, or its win-rate against a plain sample")
      ->check(CLI::IsMember({"reward", "win-rate"}))
      ->capture_default_str();
  command->add_option("--most", chosen->most, "The largest N (default: the fewest samples of a prompt, at most 64)");
  command->add_option("--soft", chosen->soft, "Soft best-of-N too, of this many samples");
  command->add_option("--prompt-field", chosen->records.prompt_field, "Field with the prompt's id")->capture_default_str();
  add_missing(*command, chosen->records, "reward");
  add_short(*command, chosen->short_prompts);
  add_cluster(*command, chosen->records);
  add_report(*command, *chosen);
  command->footer(std::string(hedge_explanation) + hedge_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
