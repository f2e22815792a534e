// SPDX-License-Identifier: Apache-2.0
#include "left_out.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <vector>

#include "failure.hpp"
#include "prompt_index.hpp"

namespace command {

std::uint64_t drop_short_prompts(std::span<const required> all) {
  prompt_index dropped;
  const prompt_index prompts = all.front().table->prompts;
  for (std::size_t p = 0; p < prompts.size(); ++p)
    for (const required& of : all)
      if (const auto own = of.table->prompts.find(prompts.id(p)); own && of.table->count(*own) < of.rewards)
        dropped.find_or_add(prompts.id(p));
  if (dropped.size() == 0) return 0;
  if (dropped.size() == prompts.size())
    fail("{}: no prompt is left, every one has too few rewards in it or in what it is compared with", all.front().table->name);
  for (const required& of : all) {
    std::vector<std::uint32_t> kept;
    for (std::size_t p = 0; p < of.table->prompts.size(); ++p)
      if (!dropped.find(of.table->prompts.id(p))) kept.push_back(static_cast<std::uint32_t>(p));
    *of.table = subset(*of.table, kept);
  }
  return dropped.size();
}

void add_left_out(json_object& to, const left_out& what) {
  to.add("missing_rewards", static_cast<long long>(what.missing_rewards))
      .add("short_prompts", static_cast<long long>(what.short_prompts));
}

std::string left_out_text(const left_out& what) {
  std::string text;
  const auto add = [&](std::uint64_t number, const char* one, const char* many) {
    if (number > 0) text += fmt::format("{}{} {}", text.empty() ? "left out: " : ", ", number, number == 1 ? one : many);
  };
  add(what.missing_rewards, "missing reward", "missing rewards");
  add(what.short_prompts, "prompt with too few rewards", "prompts with too few rewards");
  return text.empty() ? text : text + '\n';
}

}  // namespace command
