// SPDX-License-Identifier: Apache-2.0
#include "votes.hpp"

#include <cstdint>
#include <unordered_map>
#include <utility>

#include "failure.hpp"
#include "printable.hpp"

namespace command {

votes count_votes(const reward_table& table, std::size_t p) {
  const auto begin = static_cast<std::size_t>(table.offsets[p]), end = static_cast<std::size_t>(table.offsets[p + 1]);
  votes found;
  std::unordered_map<std::uint32_t, std::pair<std::size_t, double>> seen;
  for (std::size_t i = begin; i < end; ++i) {
    const auto [place, is_new] = seen.try_emplace(table.answers[i], found.counts.size(), table.rewards[i]);
    const auto [position, reward] = place->second;
    const auto name = [&](std::uint32_t answer) { return excerpt(table.answer_texts.id(answer).bytes); };
    if (reward != table.rewards[i])
      fail("{}:{}: prompt {} has the answer {} with rewards of 0 and of 1", table.name, table.first_line[p],
           table.prompts.shown(p), name(table.answers[i]));
    if (!is_new) {
      ++found.counts[position];
      continue;
    }
    found.counts.push_back(1);
    if (reward == 1 && found.correct >= 0)
      fail("{}:{}: prompt {} has a second right answer, {}; equal answers must be written alike", table.name,
           table.first_line[p], table.prompts.shown(p), name(table.answers[i]));
    if (reward == 1) found.correct = static_cast<infalign::index_t>(position);
  }
  return found;
}

}  // namespace command
