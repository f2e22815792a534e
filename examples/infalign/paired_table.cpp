// SPDX-License-Identifier: Apache-2.0
#include "paired_table.hpp"

#include <cmath>
#include <cstddef>
#include <utility>

#include "failure.hpp"
#include "progress.hpp"
#include "record_reader.hpp"
#include "reward_table.hpp"

namespace command {

namespace {

struct sample {
  std::uint32_t prompt;
  double first, second;
};

record_options with_field(record_options options, const std::string& field) {
  options.reward_field = field;
  return options;
}

void group(const std::vector<sample>& samples, paired_table& into) {
  into.offsets.assign(into.prompts.size() + 1, 0);
  for (const sample& s : samples) ++into.offsets[s.prompt + 1];
  for (std::size_t p = 0; p < into.prompts.size(); ++p) into.offsets[p + 1] += into.offsets[p];
  std::vector<infalign::index_t> next(into.offsets.begin(), into.offsets.end() - 1);
  into.first.resize(samples.size());
  into.second.resize(samples.size());
  for (const sample& s : samples) {
    const auto at = static_cast<std::size_t>(next[s.prompt]++);
    into.first[at] = s.first;
    into.second[at] = s.second;
  }
}

}  // namespace

paired_table read_pairs(const std::string& path, const record_options& options, const std::string& first_field,
                        const std::string& second_field) {
  record_reader in(path, with_field(options, first_field));
  record_options others = with_field(options.without_cluster(), second_field);
  others.second_field.clear();
  others.words.clear();
  record_reader other(path, others);
  paired_table table;
  table.name = in.file().name();
  progress shown("reading " + table.name, in.file().total_bytes());
  std::vector<sample> samples;
  prompt_index clusters;
  std::uint64_t records = 0;
  for (; in.next(); ++records) {
    if (!other.next()) in.fail_here("the file has changed while it was read");
    const auto first = in.rewards(), second = other.rewards();
    if (first.size() != second.size())
      in.fail_here("{} has {} values, but {} has {}", first_field, first.size(), second_field, second.size());
    const std::uint32_t prompt = table.prompts.find_or_add(in.prompt());
    if (in.cluster().is_there()) add_mark(in, "cluster", in.cluster(), prompt, clusters, table.clusters);
    for (std::size_t i = 0; i < first.size(); ++i)
      if (std::isnan(first[i]) || std::isnan(second[i]))
        ++table.missing;
      else
        samples.push_back({prompt, first[i], second[i]});
    shown.update(records, in.file().bytes_read());
  }
  if (records == 0) fail("{}: there is no record in it", table.name);
  if (samples.empty()) fail("{}: no sample has both {} and {}", table.name, first_field, second_field);
  group(samples, table);
  return table;
}

std::vector<infalign::index_t> paired_table::sample_clusters() const {
  std::vector<infalign::index_t> all;
  for (std::size_t p = 0; p < prompts.size(); ++p)
    all.insert(all.end(), static_cast<std::size_t>(count(p)),
               clusters.empty() ? static_cast<infalign::index_t>(p) : clusters[p]);
  return all;
}

void paired_table::drop_short(infalign::index_t samples) {
  paired_table kept;
  kept.offsets.push_back(0);
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    if (count(p) < samples) {
      ++kept.short_prompts;
      continue;
    }
    kept.prompts.find_or_add(prompts.id(p));
    if (!clusters.empty()) kept.clusters.push_back(clusters[p]);
    kept.first.insert(kept.first.end(), first.begin() + offsets[p], first.begin() + offsets[p + 1]);
    kept.second.insert(kept.second.end(), second.begin() + offsets[p], second.begin() + offsets[p + 1]);
    kept.offsets.push_back(static_cast<infalign::index_t>(kept.first.size()));
  }
  if (kept.prompts.size() == 0) fail("{}: no prompt has {} samples", name, samples);
  kept.name = name;
  kept.missing = missing;
  *this = std::move(kept);
}

}  // namespace command
