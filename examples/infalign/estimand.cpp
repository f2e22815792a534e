// SPDX-License-Identifier: Apache-2.0
#include "estimand.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <string_view>
#include <utility>

#include "failure.hpp"
#include "transformed.hpp"

namespace command {

namespace {

using infalign::index_t;

/// The K of `pass@K` and its like.
index_t samples_of(const std::string& name) {
  const std::string_view digits = std::string_view(name).substr(name.find('@') + 1);
  index_t k = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), k);
  if (error != std::errc() || end != digits.data() + digits.size() || k < 1)
    throw usage_failure(
        fmt::format("--estimand: '{}' must be pass@K (or cons@K, maj@K) with a whole number K of at least 1", name));
  return k;
}

void expect_absent(const std::string& name, const char* option, const std::string& value, const char* why) {
  if (!value.empty()) throw usage_failure(fmt::format("{}: {} {}", option, name, why));
}

}  // namespace

estimand estimand::of_transform(const estimand_options& chosen) {
  const std::string& name = chosen.estimand;
  expect_absent(name, "--answer-field", chosen.answer_field, "reads no answers");
  expect_absent(name, "--procedure", chosen.procedure, "is of single samples");
  expect_absent(name, "--reference-procedure", chosen.reference_procedure, "is of single samples");
  if (chosen.transform.empty()) throw usage_failure("--transform is required (see --help)");
  if (chosen.reference.empty()) throw usage_failure("--reference is required (see --help)");
  const auto transform =
      option_value("--transform", chosen.transform, [](const auto& text) { return infalign::parse_transform(text); });
  estimand found(kind::expected_transform, name, {infalign::best_of(1), infalign::best_of(references_for(transform))});
  found.transform_ = transform;
  return found;
}

estimand estimand::parse(const estimand_options& chosen) {
  const std::string& name = chosen.estimand;
  if (name == "expected-transform") return of_transform(chosen);
  expect_absent(name, "--transform", chosen.transform, "transforms no rewards");
  kind what = name == "expected-reward" ? kind::expected_reward : kind::win_rate;
  for (const auto& [prefix, of] :
       {std::pair{"pass@", kind::pass_at_k}, {"cons@", kind::consensus_at_k}, {"maj@", kind::majority_at_k}})
    if (name.starts_with(prefix)) what = of;
  const bool passes = what != kind::expected_reward && what != kind::win_rate;
  if (!passes && name != "win-rate" && name != "expected-reward")
    throw usage_failure(
        fmt::format("--estimand: '{}' must be win-rate, expected-reward, expected-transform, pass@K, cons@K or maj@K", name));
  if (what != kind::majority_at_k) expect_absent(name, "--answer-field", chosen.answer_field, "reads no answers");
  if (name != "win-rate") {
    expect_absent(name, "--reference", chosen.reference, "has no reference policy");
    expect_absent(name, "--reference-procedure", chosen.reference_procedure, "has no reference policy");
  } else if (chosen.reference.empty()) {
    throw usage_failure("--reference is required (see --help)");
  }
  if (passes) {
    expect_absent(name, "--procedure", chosen.procedure, "says what is run itself");
    const infalign::any_procedure best = infalign::best_of(samples_of(name));
    return {what, name, {best, best}};
  }
  if (chosen.procedure.empty()) throw usage_failure("--procedure is required (see --help)");
  return {what, name, procedures::parse(chosen)};
}

bool estimand::is_mean_of_samples() const {
  return name_ == "pass@1" || (kind_ == kind::expected_reward && served_.policy.name() == "standard");
}

record_options estimand::with_answers(record_options records, const estimand_options& chosen) const {
  if (kind_ == kind::majority_at_k) records.answer_field = chosen.answer_field.empty() ? "answer" : chosen.answer_field;
  return records;
}

std::string estimand::procedure_name() const {
  if (transform_) return transform_->name();
  return kind_ == kind::consensus_at_k || kind_ == kind::majority_at_k
             ? fmt::format("{} samples", served_.policy.samples_needed())
             : served_.policy.name();
}

std::string estimand::title() const {
  if (kind_ == kind::expected_reward) return "expected reward";
  if (kind_ == kind::expected_transform) return "expected transform";
  return kind_ == kind::win_rate ? "win rate" : name_;
}

bool estimand::is_rate() const {
  return kind_ != kind::expected_reward && kind_ != kind::expected_transform;
}
infalign::quantity_range estimand::range() const {
  return is_rate() ? infalign::win_rate_range : infalign::quantity_range{};
}
infalign::quantity_range estimand::difference_range() const {
  return is_rate() ? infalign::win_rate_difference_range : infalign::quantity_range{};
}

void estimand::add_name(json_object& to) const {
  if (is_win_rate()) return;
  to.add("estimand", name_);
  if (transform_) to.add("transform", transform_->name());
}

void add_estimand(CLI::App& to, estimand_options& chosen) {
  to.add_option("--estimand", chosen.estimand, "win-rate, expected-reward, expected-transform, pass@K, cons@K or maj@K")
      ->capture_default_str();
  to.add_option("--transform", chosen.transform, "Transform of the calibrated reward, for expected-transform");
  to.add_option("--answer-field", chosen.answer_field,
                "Field with the answer, or the list of answers, for maj@K (default: answer)");
  to.add_option("--procedure", chosen.procedure, "What is run at inference; not for pass@K and its like, which say themselves");
  to.add_option("--reference", chosen.reference,
                "Rewards of samples of the reference policy, for win rates and transforms; - for standard input");
  to.add_option("--reference-procedure", chosen.reference_procedure, "What is run on the reference policy (default: the same)");
}

std::string estimand_help() {
  return "--estimand expected-reward is the mean reward of what the procedure serves, and --estimand pass@5 the probability "
         "that "
         "at\n"
         "least one of 5 samples passes, from rewards of 0 and 1 or counts of passes. Both are estimated without bias from any "
         "larger\n"
         "number of samples, and need no --reference. --estimand cons@5 is the probability that more than half of 5 samples "
         "pass,\n"
         "--estimand maj@5 that the most frequent of 5 answers is right, where equally frequent ones are chosen from at "
         "random. "
         "For\n"
         "it a record also has its answer, a string or an integer ({\"prompt_id\": …, \"reward\": 1, \"answer\": \"42\"}, or "
         "two "
         "lists).\n"
         "Equal answers must be written alike and have equal rewards. An answer of null is missing; write \"\" for a sample\n"
         "that gave none, which then votes as one wrong answer.\n"
         "--estimand expected-transform --transform exponential:10 is the mean over samples of a transform of the calibrated "
         "reward.\n"
         "Where the transform is curved, few references bias that of infalign calibrate; here it is estimated without bias "
         "(identity,\n"
         "exponential), or with one of order 1/K² for K references, by the jackknife. Ties count one half.\n";
}

}  // namespace command
