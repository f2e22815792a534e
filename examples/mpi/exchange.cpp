// SPDX-License-Identifier: Apache-2.0
#include "exchange.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include "failure.hpp"

namespace command {

namespace {

/// What is sent of one prompt: this, the bytes of its id, and its rewards.
struct prompt_header {
  std::uint64_t is_text;
  std::uint64_t id_bytes;
  std::uint64_t rewards;
  std::uint64_t first_line;
  std::uint64_t file;  ///< its place among all files
};

template <class T>
void put(std::string& to, const T* values, std::size_t n) {
  static_assert(std::is_trivially_copyable_v<T>);
  to.append(reinterpret_cast<const char*>(values), n * sizeof(T));
}
template <class T>
const char* get(const char* from, T* values, std::size_t n) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(values, from, n * sizeof(T));
  return from + n * sizeof(T);
}

/// A prompt within a message: its header, where its rewards are, and where it ends.
struct prompt_part {
  prompt_header header;
  prompt_id id;
  const char* rewards;
  const char* end;

  explicit prompt_part(const char* at) : header{} {
    at = get(at, &header, 1);
    id = {header.is_text != 0, {at, header.id_bytes}};
    rewards = at + header.id_bytes;
    end = rewards + header.rewards * sizeof(double);
  }
};
/// `each(at)` for where the prompts of a message begin.
template <class Each>
void for_each_prompt(std::string_view message, const Each& each) {
  for (const char *at = message.data(), *const end = at + message.size(); at < end; at = prompt_part(at).end) each(at);
}

/// The table of a message: prompts and their rewards in the order of files.
reward_table table_of(const std::string& message) {
  reward_table table;
  std::vector<infalign::index_t> counts;
  std::vector<std::uint32_t> prompts;
  std::vector<const char*> parts;
  for_each_prompt(message, [&](const char* at) { parts.push_back(at); });
  std::stable_sort(parts.begin(), parts.end(),
                   [](const char* a, const char* b) { return prompt_part(a).header.file < prompt_part(b).header.file; });
  for (const char* const at : parts) {
    const prompt_part part(at);
    const std::uint32_t prompt = table.prompts.find_or_add(part.id);
    prompts.push_back(prompt);
    if (prompt == counts.size()) counts.push_back(0), table.first_line.push_back(part.header.first_line);
    counts[prompt] += static_cast<infalign::index_t>(part.header.rewards);
  }
  table.offsets.push_back(0);
  for (const infalign::index_t count : counts) table.offsets.push_back(table.offsets.back() + count);
  table.rewards.resize(static_cast<std::size_t>(table.offsets.back()));
  std::vector<infalign::index_t> next(table.offsets.begin(), table.offsets.end() - 1);
  for (std::size_t n = 0; n < parts.size(); ++n) {
    const prompt_part part(parts[n]);
    infalign::index_t& place = next[prompts[n]];
    get(part.rewards, table.rewards.data() + place, part.header.rewards);
    place += static_cast<infalign::index_t>(part.header.rewards);
  }
  return table;
}

/// The bytes of a prompt's id, behind its header.
void put_id(std::string& to, const prompt_header& header, const prompt_id& id) {
  put(to, &header, 1);
  put(to, id.bytes.data(), id.bytes.size());
}
void put_prompt(std::string& to, const reward_table& table, std::size_t p, std::uint64_t file) {
  const prompt_id id = table.prompts.id(p);
  const auto rewards = table.groups()[static_cast<infalign::index_t>(p)];
  const auto n = static_cast<std::size_t>(rewards.size());
  put_id(to, {id.is_text ? 1u : 0u, id.bytes.size(), n, table.first_line[p], file}, id);
  put(to, rewards.data(), n);
}

/// MPI counts bytes in `int`.
int count_of(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    fail("a rank has {} bytes for another, at most {} can be sent; use more ranks", bytes, std::numeric_limits<int>::max());
  return static_cast<int>(bytes);
}

/// What all ranks sent to this one, in their order, and how many bytes of each.
struct message {
  std::string text;
  std::vector<int> sizes;
};

/// Sends `parts[r]` to rank r. Collective.
message swapped(std::vector<std::string> parts, MPI_Comm all) {
  const std::size_t n = parts.size();
  std::vector<int> sent(n), sent_at(n), received_at(n);
  message in{{}, std::vector<int>(n)};
  std::string out;
  for (std::size_t r = 0; r < n; ++r) {
    sent[r] = count_of(parts[r].size());
    sent_at[r] = count_of(out.size());
    out.empty() ? out.swap(parts[r]) : void(out += parts[r]);
    std::string().swap(parts[r]);
  }
  MPI_Alltoall(sent.data(), 1, MPI_INT, in.sizes.data(), 1, MPI_INT, all);
  std::size_t total = 0;
  for (std::size_t r = 0; r < n; ++r) {
    received_at[r] = count_of(total);
    total += static_cast<std::size_t>(in.sizes[r]);
  }
  in.text.resize(total);
  MPI_Alltoallv(out.data(), sent.data(), sent_at.data(), MPI_BYTE, in.text.data(), in.sizes.data(), received_at.data(),
                MPI_BYTE, all);
  return in;
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

reward_table exchanged(std::vector<reward_table> own, MPI_Comm all) {
  int ranks = 0, rank = 0;
  MPI_Comm_size(all, &ranks);
  MPI_Comm_rank(all, &rank);
  std::vector<std::string> parts(static_cast<std::size_t>(ranks));
  std::uint64_t missing_here = 0, missing = 0;
  const std::string name = own.empty() ? "" : own.front().name;
  auto file = static_cast<std::uint64_t>(rank);
  for (reward_table& table : own) {
    for (std::size_t p = 0; p < table.prompts.size(); ++p)
      put_prompt(parts[static_cast<std::size_t>(owner_of(table.prompts.id(p), ranks))], table, p, file);
    missing_here += table.missing;
    file += static_cast<std::uint64_t>(ranks);
    table = reward_table();  // what is packed is needed no more
  }
  MPI_Allreduce(&missing_here, &missing, 1, MPI_UINT64_T, MPI_SUM, all);
  reward_table owned = table_of(swapped(std::move(parts), all).text);
  owned.name = name;
  owned.missing = missing;
  return owned;
}

reward_table fetched(const reward_table& owned, const prompt_index& wanted, MPI_Comm all) {
  int ranks = 0;
  MPI_Comm_size(all, &ranks);
  std::vector<std::string> parts(static_cast<std::size_t>(ranks));
  for (std::size_t p = 0; p < wanted.size(); ++p) {
    const prompt_id id = wanted.id(p);
    put_id(parts[static_cast<std::size_t>(owner_of(id, ranks))], {id.is_text ? 1u : 0u, id.bytes.size(), 0, 0, 0}, id);
  }
  const message asked = swapped(std::move(parts), all);
  parts.assign(static_cast<std::size_t>(ranks), {});
  std::size_t at = 0;
  for (std::size_t r = 0; r < parts.size(); at += static_cast<std::size_t>(asked.sizes[r]), ++r)
    for_each_prompt(std::string_view(asked.text).substr(at, static_cast<std::size_t>(asked.sizes[r])), [&](const char* place) {
      const auto prompt = owned.prompts.find(prompt_part(place).id);
      if (prompt && owned.count(*prompt) > 0) put_prompt(parts[r], owned, *prompt, 0);
    });
  return table_of(swapped(std::move(parts), all).text);
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
