// SPDX-License-Identifier: Apache-2.0
#include "exchange.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "failure.hpp"
#include "message.hpp"

namespace command {

namespace {

using infalign::index_t;

/// What is sent of one prompt: its id, this, its rewards, its cluster and its stratum where they are read, and the answers where these are.
struct prompt_header {
  std::uint64_t rewards;
  std::uint64_t first_line;
  std::uint64_t file;    ///< its place among all files
  std::uint64_t others;  ///< which of the rest follow
};
constexpr std::uint64_t has_cluster = 1, has_stratum = 2, has_answers = 4;

/// A prompt within a message: its header, where its rewards and answers are, and where it ends.
struct prompt_part {
  prompt_header header{};
  prompt_id id{}, cluster{}, stratum{};
  const char* rewards;
  const char* answers;
  const char* end;

  explicit prompt_part(const char* at) {
    rewards = get(get_name(at, id), &header, 1);
    answers = rewards + header.rewards * sizeof(double);
    if ((header.others & has_cluster) != 0) answers = get_name(answers, cluster);
    if ((header.others & has_stratum) != 0) answers = get_name(answers, stratum);
    end = answers;
    prompt_id answer{};
    for (std::uint64_t i = 0; (header.others & has_answers) != 0 && i < header.rewards; ++i) end = get_name(end, answer);
  }
};
/// `each(part, at)` for the prompts of a message, which begin at `at`.
template <class Each>
void for_each_prompt(std::string_view message, const Each& each) {
  for (const char *at = message.data(), *const end = at + message.size(); at < end;) {
    const prompt_part part(at);
    each(part, at);
    at = part.end;
  }
}

/// Throws `failure` where the part names another cluster or stratum than those before it.
void add_marks(const prompt_part& part, std::uint32_t prompt, reward_table& table, const std::vector<std::string>& files) {
  const auto add = [&](const char* kind, const prompt_id& mark, prompt_index& marks, std::vector<index_t>& of) {
    if (!mark.is_there()) return;
    if (const std::string wrong = note_mark(part.id, kind, mark, prompt, marks, of); !wrong.empty())
      fail("{}:{}: {}", files[part.header.file], part.header.first_line, wrong);
  };
  add("cluster", part.cluster, table.cluster_names, table.clusters);
  add("stratum", part.stratum, table.stratum_names, table.strata);
}

/// The table of a message: prompts and their rewards in the order of `files`.
reward_table table_of(const std::string& message, const std::vector<std::string>& files) {
  reward_table table;
  std::vector<index_t> counts;
  std::vector<std::uint32_t> prompts;
  struct place {
    std::uint64_t file;
    const char* at;
  };
  std::vector<place> parts;
  bool answers = false;
  for_each_prompt(message, [&](const prompt_part& part, const char* at) { parts.push_back({part.header.file, at}); });
  std::stable_sort(parts.begin(), parts.end(), [](const place& a, const place& b) { return a.file < b.file; });
  for (const place& of : parts) {
    const prompt_part part(of.at);
    const std::uint32_t prompt = table.prompts.find_or_add(part.id);
    prompts.push_back(prompt);
    if (prompt == counts.size()) counts.push_back(0), table.first_line.push_back(part.header.first_line);
    counts[prompt] += static_cast<index_t>(part.header.rewards);
    add_marks(part, prompt, table, files);
    answers = answers || (part.header.others & has_answers) != 0;
  }
  table.offsets.push_back(0);
  for (const index_t count : counts) table.offsets.push_back(table.offsets.back() + count);
  table.rewards.resize(static_cast<std::size_t>(table.offsets.back()));
  if (answers) table.answers.resize(table.rewards.size());
  std::vector<index_t> next(table.offsets.begin(), table.offsets.end() - 1);
  for (std::size_t n = 0; n < parts.size(); ++n) {
    const prompt_part part(parts[n].at);
    const auto place = static_cast<std::size_t>(next[prompts[n]]);
    get(part.rewards, table.rewards.data() + place, part.header.rewards);
    const char* at = part.answers;
    for (std::size_t i = 0; answers && i < part.header.rewards; ++i) {
      prompt_id answer{};
      at = get_name(at, answer);
      table.answers[place + i] = table.answer_texts.find_or_add(answer);
    }
    next[prompts[n]] += static_cast<index_t>(part.header.rewards);
  }
  return table;
}

void put_prompt(std::string& to, const reward_table& table, std::size_t p, std::uint64_t file) {
  const auto rewards = table.groups()[static_cast<index_t>(p)];
  const auto n = static_cast<std::size_t>(rewards.size());
  const prompt_header header{n, table.first_line[p], file,
                             (table.clusters.empty() ? 0 : has_cluster) | (table.strata.empty() ? 0 : has_stratum) |
                                 (table.answers.empty() ? 0 : has_answers)};
  put_name(to, table.prompts.id(p));
  put(to, &header, 1);
  put(to, rewards.data(), n);
  if (!table.clusters.empty()) put_name(to, table.cluster_names.id(static_cast<std::size_t>(table.clusters[p])));
  if (!table.strata.empty()) put_name(to, table.stratum_names.id(static_cast<std::size_t>(table.strata[p])));
  if (table.answers.empty()) return;
  for (index_t i = table.offsets[p]; i < table.offsets[p + 1]; ++i)
    put_name(to, table.answer_texts.id(table.answers[static_cast<std::size_t>(i)]));
}

}  // namespace

int owner_of(const prompt_id& id, int ranks) {
  std::uint64_t hash = 14695981039346656037u ^ (id.is_text ? 1u : 0u);
  for (const char c : id.bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  hash ^= hash >> 32;  // the low bits of a product know the high bits of its factors not at all
  return static_cast<int>(hash % static_cast<std::uint64_t>(ranks));
}

std::vector<reward_table> read_shards(const std::vector<std::string>& paths, const record_options& options, int rank,
                                      int ranks) {
  std::vector<reward_table> tables;
  for (std::size_t i = static_cast<std::size_t>(rank); i < paths.size(); i += static_cast<std::size_t>(ranks))
    tables.push_back(read_rewards(paths[i], options));
  return tables;
}

reward_table exchanged(std::vector<reward_table> own, const std::vector<std::string>& files, MPI_Comm all) {
  int ranks = 0, rank = 0;
  MPI_Comm_size(all, &ranks);
  MPI_Comm_rank(all, &rank);
  std::vector<std::string> parts(static_cast<std::size_t>(ranks));
  std::uint64_t missing_here = 0, missing = 0;
  auto file = static_cast<std::uint64_t>(rank);
  for (reward_table& table : own) {
    for (std::size_t p = 0; p < table.prompts.size(); ++p)
      put_prompt(parts[static_cast<std::size_t>(owner_of(table.prompts.id(p), ranks))], table, p, file);
    missing_here += table.missing;
    file += static_cast<std::uint64_t>(ranks);
    table = reward_table();  // what is packed is needed no more
  }
  MPI_Allreduce(&missing_here, &missing, 1, MPI_UINT64_T, MPI_SUM, all);
  reward_table owned = table_of(swapped(std::move(parts), all).text, files);
  owned.name = files.size() == 1 ? files.front() : fmt::format("{} and {} more", files.front(), files.size() - 1);
  owned.missing = missing;
  return owned;
}

reward_table fetched(const reward_table& owned, const prompt_index& wanted, MPI_Comm all) {
  int ranks = 0;
  MPI_Comm_size(all, &ranks);
  std::vector<std::string> parts(static_cast<std::size_t>(ranks));
  for (std::size_t p = 0; p < wanted.size(); ++p) {
    const prompt_id id = wanted.id(p);
    std::string& to = parts[static_cast<std::size_t>(owner_of(id, ranks))];
    const prompt_header header{};
    put_name(to, id);
    put(to, &header, 1);
  }
  const message asked = swapped(std::move(parts), all);
  parts.assign(static_cast<std::size_t>(ranks), {});
  std::size_t at = 0;
  for (std::size_t r = 0; r < parts.size(); at += static_cast<std::size_t>(asked.sizes[r]), ++r)
    for_each_prompt(std::string_view(asked.text).substr(at, static_cast<std::size_t>(asked.sizes[r])),
                    [&](const prompt_part& part, const char*) {
                      const auto prompt = owned.prompts.find(part.id);
                      if (prompt && owned.count(*prompt) > 0) put_prompt(parts[r], owned, *prompt, 0);
                    });
  return table_of(swapped(std::move(parts), all).text, {});
}

infalign::summary reduced(const infalign::summary& own, MPI_Comm all) {
  static_assert(std::is_trivially_copyable_v<infalign::summary>);
  MPI_Datatype type;
  MPI_Type_contiguous(sizeof(infalign::summary), MPI_BYTE, &type);
  MPI_Type_commit(&type);
  MPI_Op merge;
  MPI_Op_create(
      [](void* in, void* in_out, int* count, MPI_Datatype*) {
        const auto* const from = static_cast<const infalign::summary*>(in);
        auto* const into = static_cast<infalign::summary*>(in_out);
        for (int i = 0; i < *count; ++i) {
          infalign::summary merged = from[i];  // of the lower ranks
          merged.merge(into[i]);
          into[i] = merged;
        }
      },
      0, &merge);
  infalign::summary whole;
  MPI_Allreduce(&own, &whole, 1, type, merge, all);
  MPI_Op_free(&merge);
  MPI_Type_free(&type);
  return whole;
}

}  // namespace command
