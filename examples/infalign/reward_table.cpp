// SPDX-License-Identifier: Apache-2.0
#include "reward_table.hpp"

#include <cstddef>
#include <string_view>

#include "progress.hpp"
#include "record_reader.hpp"
#include "segmented.hpp"

namespace command {

namespace {

/// Rewards of one prompt that follow one another in the file. A file in order of prompts has few runs, so that loading it takes little
/// more memory than the rewards themselves.
struct run {
  std::uint32_t prompt;
  std::uint32_t count;
};

/// Sorts the runs by prompt, and keeps their order within a prompt.
void group(segmented<double>& rewards, segmented<run>& runs, reward_table& into) {
  into.offsets.assign(into.prompts.size() + 1, 0);
  runs.for_each([&](const run& r) { into.offsets[r.prompt + 1] += r.count; });
  for (std::size_t p = 0; p < into.prompts.size(); ++p) into.offsets[p + 1] += into.offsets[p];
  if (runs.size() == into.prompts.size()) {  // in order already
    into.rewards.reserve(rewards.size());
    return rewards.consume([&](double reward) { into.rewards.push_back(reward); });
  }
  std::vector<infalign::index_t> next(into.offsets.begin(), into.offsets.end() - 1);
  std::vector<run> left;
  left.reserve(runs.size());
  runs.consume([&](const run& r) { left.push_back(r); });
  into.rewards.resize(rewards.size());
  auto current = left.begin();
  rewards.consume([&](double reward) {
    if (current->count == 0) ++current;
    --current->count;
    into.rewards[static_cast<std::size_t>(next[current->prompt]++)] = reward;
  });
}

}  // namespace

reward_table read_rewards(const std::string& path) {
  record_reader in(path);
  reward_table table;
  table.name = in.lines().name();
  progress shown("reading " + table.name, in.lines().total_bytes());
  segmented<double> rewards;
  segmented<run> runs;
  for (std::uint64_t records = 0; in.next(); ++records) {
    const std::uint32_t prompt = table.prompts.find_or_add(in.prompt());
    if (prompt == table.first_line.size()) table.first_line.push_back(in.lines().number());
    const auto count = static_cast<std::uint32_t>(in.rewards().size());
    if (runs.size() == 0 || runs.back().prompt != prompt || runs.back().count > 0x7FFFFFFFu)
      runs.push_back({prompt, count});
    else
      runs.back().count += count;
    for (const double reward : in.rewards()) rewards.push_back(reward);
    shown.update(records, in.lines().bytes_read());
  }
  if (rewards.size() == 0) fail("{}: there is no record in it", table.name);
  group(rewards, runs, table);
  return table;
}

}  // namespace command
