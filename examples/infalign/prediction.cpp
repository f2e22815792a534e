// SPDX-License-Identifier: Apache-2.0
#include "prediction.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "estimate_text.hpp"
#include "failure.hpp"

namespace command {

std::vector<infalign::any_transform> parse_transforms(const std::vector<std::string>& names) {
  std::vector<infalign::any_transform> transforms;
  for (const std::string& name : names)
    transforms.push_back(option_value("--transform", name, [](const auto& text) { return infalign::parse_transform(text); }));
  return transforms;
}

void expect_two(const reward_table& reference) {
  for (std::size_t p = 0; p < reference.prompts.size(); ++p)
    if (reference.count(p) < 2)
      fail("{}:{}: prompt {} has 1 reward, a prediction needs at least 2 (--short skip leaves it out)", reference.name,
           reference.first_line[p], reference.prompts.shown(p));
}

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

double shown(const infalign::estimate& of) {
  return std::clamp(of.value, of.lowest, of.highest);
}

json_object prediction_json(double level, const procedures& served, const std::vector<prediction>& found,
                            const left_out& without) {
  const auto value = [&](const infalign::off_policy_value& v) {
    json_object all;
    const auto interval = v.interval(level);
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
      .add("level", level);
  add_left_out(all, without);
  all.add_raw("rows", "[" + rows + "]");
  return all;
}

}  // namespace command
