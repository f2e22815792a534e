// SPDX-License-Identifier: Apache-2.0
#include "reward_table.hpp"

#include <cmath>
#include <cstddef>
#include <string_view>

#include "json_text.hpp"
#include "output_file.hpp"
#include "progress.hpp"
#include "record_reader.hpp"
#include "segmented.hpp"

namespace command {

namespace {

/// Rewards of one prompt that follow one another in the file. A file in order of prompts has few runs, so that loading it takes little
/// more memory than the rewards themselves.
struct run_of_prompt {
  std::uint32_t prompt;
  std::uint32_t count;
};

/// The values of the file in the order of prompts, and then of the file. Without `runs` they are in order already.
template <class T>
std::vector<T> in_order(segmented<T>& values, const std::vector<run_of_prompt>& runs,
                        const std::vector<infalign::index_t>& offsets) {
  std::vector<T> ordered;
  if (runs.empty()) {
    ordered.reserve(values.size());
    values.consume([&](T value) { ordered.push_back(value); });
    return ordered;
  }
  std::vector<infalign::index_t> next(offsets.begin(), offsets.end() - 1);
  ordered.resize(values.size());
  auto current = runs.begin();
  std::uint32_t taken = 0;
  values.consume([&](T value) {
    while (taken == current->count) ++current, taken = 0;  // all rewards of a run may be missing
    ++taken;
    ordered[static_cast<std::size_t>(next[current->prompt]++)] = value;
  });
  return ordered;
}

/// Sorts the runs by prompt, and keeps their order within a prompt.
void group(segmented<double>& rewards, segmented<std::uint32_t>& answers, segmented<run_of_prompt>& runs, reward_table& into) {
  into.offsets.assign(into.prompts.size() + 1, 0);
  runs.for_each([&](const run_of_prompt& r) { into.offsets[r.prompt + 1] += r.count; });
  for (std::size_t p = 0; p < into.prompts.size(); ++p) into.offsets[p + 1] += into.offsets[p];
  std::vector<run_of_prompt> left;
  if (runs.size() != into.prompts.size()) {
    left.reserve(runs.size());
    runs.consume([&](const run_of_prompt& r) { left.push_back(r); });
  }
  into.rewards = in_order(rewards, left, into.offsets);
  into.answers = in_order(answers, answers.size() > 0 ? left : std::vector<run_of_prompt>(), into.offsets);
}

/// A few bytes of counts can stand for a million rewards: without a limit, a small file could fill the memory.
void expect_room(const record_reader& in, std::uint64_t counted) {
  constexpr std::uint64_t most = std::uint64_t{1} << 26;
  if (counted > most) in.fail_here("the counts up to here stand for {} rewards, at most {} a file can be held", counted, most);
}

}  // namespace

std::string note_mark(const prompt_id& id, const char* kind, const prompt_id& mark, std::uint32_t prompt, prompt_index& marks,
                      std::vector<infalign::index_t>& of) {
  const infalign::index_t number = marks.find_or_add(mark);
  if (prompt == of.size()) of.push_back(number);
  if (of[prompt] == number) return {};
  return fmt::format("prompt {} is in {} {}, and was in {} before", shown(id), kind, shown(mark),
                     marks.shown(static_cast<std::size_t>(of[prompt])));
}

void add_mark(const record_reader& in, const char* kind, const prompt_id& mark, std::uint32_t prompt, prompt_index& marks,
              std::vector<infalign::index_t>& of) {
  if (const std::string wrong = note_mark(in.prompt(), kind, mark, prompt, marks, of); !wrong.empty())
    in.fail_here("{}", wrong);
}

reward_table read_rewards(const std::string& path, const record_options& options) {
  record_reader in(path, options);
  reward_table table;
  table.name = in.file().name();
  progress shown("reading " + table.name, in.file().total_bytes());
  segmented<double> rewards;
  segmented<std::uint32_t> answers;
  segmented<run_of_prompt> runs;
  std::uint64_t counted = 0, records = 0;
  for (; in.next(); ++records) {
    const std::uint32_t prompt = table.prompts.find_or_add(in.prompt());
    if (prompt == table.first_line.size()) table.first_line.push_back(in.line());
    if (in.cluster().is_there()) add_mark(in, "cluster", in.cluster(), prompt, table.cluster_names, table.clusters);
    if (in.stratum().is_there()) add_mark(in, "stratum", in.stratum(), prompt, table.stratum_names, table.strata);
    std::uint32_t count = 0;
    for (const double reward : in.rewards())
      if (!std::isnan(reward)) rewards.push_back(reward), ++count;
    for (std::size_t i = 0; i < in.answers().size(); ++i)
      if (!std::isnan(in.rewards()[i])) answers.push_back(table.answer_texts.find_or_add({true, in.answers()[i]}));
    if (runs.size() == 0 || runs.back().prompt != prompt || runs.back().count > 0x7FFFFFFFu)
      runs.push_back({prompt, count});
    else
      runs.back().count += count;
    if (in.is_count()) expect_room(in, counted += count);
    shown.update(records, in.file().bytes_read());
  }
  table.missing = in.missing();
  if (records == 0) fail("{}: there is no record in it", table.name);
  if (rewards.size() == 0) fail("{}: not one reward is there, {} are missing", table.name, table.missing);
  group(rewards, answers, runs, table);
  return table;
}

void write_per_prompt(const std::string& path, const reward_table& table, const char* key, const std::vector<double>& values) {
  output_file out(path);
  for (std::size_t p = 0; p < values.size(); ++p) {
    out.buffer() += json_object().add_raw("prompt_id", table.prompts.json(p)).add(key, values[p]).text() + '\n';
    out.flush_if_full();
  }
  out.commit();
}

reward_table subset(const reward_table& table, const std::vector<std::uint32_t>& prompts) {
  reward_table kept;
  kept.name = table.name;
  kept.missing = table.missing;
  kept.cluster_names = table.cluster_names;
  kept.stratum_names = table.stratum_names;
  kept.answer_texts = table.answer_texts;
  kept.offsets.push_back(0);
  const auto groups = table.groups();
  for (const std::uint32_t prompt : prompts) {
    kept.prompts.find_or_add(table.prompts.id(prompt));
    kept.first_line.push_back(table.first_line[prompt]);
    if (!table.clusters.empty()) kept.clusters.push_back(table.clusters[prompt]);
    if (!table.strata.empty()) kept.strata.push_back(table.strata[prompt]);
    const auto rewards = groups[prompt];
    if (!table.answers.empty())
      kept.answers.insert(kept.answers.end(), table.answers.begin() + table.offsets[prompt],
                          table.answers.begin() + table.offsets[prompt + 1]);
    kept.rewards.insert(kept.rewards.end(), rewards.begin(), rewards.end());
    kept.offsets.push_back(static_cast<infalign::index_t>(kept.rewards.size()));
  }
  return kept;
}

}  // namespace command
