// SPDX-License-Identifier: Apache-2.0
#include "strata.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/statistics/stratified.hpp"
#include "prompt_mean.hpp"
#include "text_table.hpp"

namespace command {

namespace {

struct named_weight {
  std::string name;
  double weight;
};

/// Behind the last =, since names may hold one.
named_weight parse_weight(const std::string& text) {
  const std::size_t sign = text.rfind('=');
  const char* const begin = text.data() + (sign == std::string::npos ? text.size() : sign + 1);
  double weight = 0;
  const auto [stop, status] = std::from_chars(begin, text.data() + text.size(), weight);
  if (status != std::errc() || stop != text.data() + text.size() || !(weight >= 0 && std::isfinite(weight)))
    throw usage_failure(fmt::format("--stratum-weight: '{}' must be NAME=WEIGHT with a weight of at least 0", excerpt(text)));
  return {text.substr(0, sign), weight};
}

/// A name on the command line is a string or an integer, whichever the file has.
std::optional<std::uint32_t> find(const prompt_index& names, const std::string& name) {
  const auto as_text = names.find({true, name}), as_integer = names.find({false, name});
  if (as_text && as_integer)
    throw usage_failure(
        fmt::format("--stratum-weight: {} is a string in some records and an integer in others", excerpt(name)));
  return as_text ? as_text : as_integer;
}

std::vector<double> given_weights(const prompt_index& names, const std::vector<infalign::index_t>& prompts,
                                  const std::vector<std::string>& given, const std::string& file) {
  std::vector<double> weights(prompts.size(), std::nan(""));
  double total = 0;
  for (const std::string& text : given) {
    const auto [name, weight] = parse_weight(text);
    const auto stratum = find(names, name);
    if ((!stratum || prompts[*stratum] == 0) && weight > 0)
      fail("{}: stratum {} has a weight of {} and no prompt", file, excerpt(name), weight);
    if (!stratum) continue;
    if (!std::isnan(weights[*stratum])) throw usage_failure(fmt::format("--stratum-weight: {} is there twice", excerpt(name)));
    total += weights[*stratum] = weight;
  }
  if (!(total > 0 && std::isfinite(total)))
    throw usage_failure(fmt::format("--stratum-weight: the weights sum to {}, must be positive and finite", total));
  for (std::size_t h = 0; h < weights.size(); ++h) {
    if (std::isnan(weights[h]) && prompts[h] > 0)
      fail("{}: stratum {} has no weight (--stratum-weight NAME=0 leaves it out)", file, names.shown(h));
    weights[h] = std::isnan(weights[h]) ? 0 : weights[h] / total;
  }
  return weights;
}

std::vector<double> shares(const std::vector<infalign::index_t>& prompts) {
  double total = 0;
  for (const infalign::index_t count : prompts) total += static_cast<double>(count);
  std::vector<double> all;
  for (const infalign::index_t count : prompts) all.push_back(static_cast<double>(count) / total);
  return all;
}

}  // namespace

weighted_strata::weighted_strata(const prompt_index& of, const std::vector<infalign::index_t>& prompts,
                                 const stratum_options& chosen, const std::string& file)
    : weights(chosen.weights.empty() ? shares(prompts) : given_weights(of, prompts, chosen.weights, file)) {
  for (std::size_t h = 0; h < prompts.size(); ++h) names.push_back(of.json(h));
}

void weighted_strata::add(json_object& to, const char* key, const std::vector<infalign::summary>& of) const {
  std::string rows;
  for (std::size_t h = 0; h < of.size(); ++h) {
    if (of[h].count == 0) continue;
    const infalign::estimate own = estimate_of(of[h]);
    json_object row;
    row.add_raw("stratum", names[h]).add("prompts", static_cast<long long>(own.count)).add("weight", weights[h]);
    rows += (rows.empty() ? "" : ", ") + row.add(key, own.value).add("standard_error", own.standard_error).text();
  }
  to.add("strata", static_cast<long long>(names.size())).add_raw("by_stratum", "[" + rows + "]");
}

std::vector<infalign::summary> stratum_summaries(const std::vector<double>& values,
                                                 const std::vector<infalign::index_t>& strata, std::size_t how_many) {
  std::vector<infalign::summary> all(how_many);
  for (std::size_t p = 0; p < values.size(); ++p) all[static_cast<std::size_t>(strata[p])].add(values[p]);
  return all;
}

strata::strata(const reward_table& table, const stratum_options& chosen) : of_prompt_(table.strata) {
  if (empty()) return;
  std::vector<infalign::index_t> prompts(table.stratum_names.size());
  for (const infalign::index_t h : of_prompt_) ++prompts[static_cast<std::size_t>(h)];
  all_ = weighted_strata(table.stratum_names, prompts, chosen, table.name);
}

infalign::estimate strata::mean(const std::vector<double>& values, const std::vector<infalign::index_t>& clusters,
                                infalign::quantity_range range) const {
  if (empty()) return mean_over_prompts(values, clusters, range);
  return infalign::stratified_mean(stratum_summaries(values, of_prompt_, size()), all_.weights, range);
}

std::vector<double> strata::weighted(const std::vector<double>& values) const {
  const std::vector<infalign::summary> all = stratum_summaries(values, of_prompt_, size());
  std::vector<double> scaled(values);
  for (std::size_t p = 0; p < values.size(); ++p) {
    const auto h = static_cast<std::size_t>(of_prompt_[p]);
    scaled[p] *= all_.weights[h] * static_cast<double>(values.size()) / static_cast<double>(all[h].count);
  }
  return scaled;
}

void strata::add(json_object& to, const char* key, const std::vector<double>& values) const {
  if (!empty()) all_.add(to, key, stratum_summaries(values, of_prompt_, size()));
}

std::string strata::text(const std::string& title, const std::vector<double>& values, infalign::quantity_range range,
                         double level) const {
  if (empty()) return {};
  text_table table({"stratum", "prompts", "weight", title, "s.e.", fmt::format("{:g} % interval", 100 * level)});
  const std::vector<infalign::summary> all = stratum_summaries(values, of_prompt_, size());
  for (std::size_t h = 0; h < all.size(); ++h) {
    if (all[h].count == 0) continue;
    const infalign::estimate own = estimate_of(all[h], range);
    table.add({excerpt(all_.names[h]), std::to_string(own.count), fmt::format("{:.4f}", all_.weights[h]), value_text(own),
               error_text(own), interval_text(own, level)});
  }
  return table.text();
}

void add_strata(CLI::App& to, record_options& records, stratum_options& chosen) {
  to.add_option("--stratum", records.stratum_field,
                "Field of the policy's records with the stratum of the prompt: a language, a difficulty");
  to.add_option("--stratum-weight", chosen.weights, "NAME=WEIGHT of every stratum (default: its share of the prompts)");
}

void check(const stratum_options& chosen, const record_options& records) {
  if (!chosen.weights.empty() && records.stratum_field.empty())
    throw usage_failure("--stratum-weight: there is no --stratum that it would weigh");
  if (!records.stratum_field.empty() && !records.cluster_field.empty())
    throw usage_failure("--stratum and --cluster: prompts within a stratum must be sampled one by one");
}

std::string strata_help() {
  return "--stratum FIELD takes the mean stratum by stratum. Each has its share of the prompts as its weight, or what\n"
         "--stratum-weight easy=0.7 hard=0.3 gives: what is asked in use, however many prompts of it are in the file. How "
         "strata\n"
         "differ from one another is then no part of the error. A stratum with one prompt has an unknown error, and so has "
         "the\n"
         "mean.\n";
}

}  // namespace command
