// SPDX-License-Identifier: Apache-2.0
#include "exchange.hpp"

#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

#include "failure.hpp"

namespace command {

namespace {

/// What is sent of one prompt: this, the bytes of its id, and its rewards.
struct prompt_header {
  std::uint64_t is_text;
  std::uint64_t id_bytes;
  std::uint64_t rewards;
  std::uint64_t first_line;
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

/// A prompt within a message: its header, and where its rewards are.
struct prompt_part {
  prompt_header header;
  prompt_id id;
  const char* rewards;
};
/// `each(part)` for the prompts of a message.
template <class Each>
void for_each_prompt(const std::string& message, const Each& each) {
  for (const char *at = message.data(), *end = at + message.size(); at < end;) {
    prompt_part part{};
    at = get(at, &part.header, 1);
    part.id = {part.header.is_text != 0, {at, part.header.id_bytes}};
    part.rewards = at + part.header.id_bytes;
    at = part.rewards + part.header.rewards * sizeof(double);
    each(part);
  }
}

/// The table of a message: prompts in the order in which they come first, rewards in the order of the message.
reward_table table_of(const std::string& message) {
  reward_table table;
  std::vector<infalign::index_t> counts;
  std::vector<std::uint32_t> prompts;
  for_each_prompt(message, [&](const prompt_part& part) {
    const std::uint32_t prompt = table.prompts.find_or_add(part.id);
    prompts.push_back(prompt);
    if (prompt == counts.size()) counts.push_back(0), table.first_line.push_back(part.header.first_line);
    counts[prompt] += static_cast<infalign::index_t>(part.header.rewards);
  });
  table.offsets.push_back(0);
  for (const infalign::index_t count : counts) table.offsets.push_back(table.offsets.back() + count);
  table.rewards.resize(static_cast<std::size_t>(table.offsets.back()));
  std::vector<infalign::index_t> next(table.offsets.begin(), table.offsets.end() - 1);
  std::size_t n = 0;
  for_each_prompt(message, [&](const prompt_part& part) {
    infalign::index_t& place = next[prompts[n++]];
    get(part.rewards, table.rewards.data() + place, part.header.rewards);
    place += static_cast<infalign::index_t>(part.header.rewards);
  });
  return table;
}

/// MPI counts bytes in `int`.
int count_of(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    fail("a rank has {} bytes for another, at most {} can be sent; use more ranks", bytes, std::numeric_limits<int>::max());
  return static_cast<int>(bytes);
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
  int ranks = 0;
  MPI_Comm_size(all, &ranks);
  const auto n = static_cast<std::size_t>(ranks);
  std::vector<std::string> parts(n);
  std::uint64_t missing_here = 0, missing = 0;
  const std::string name = own.empty() ? "" : own.front().name;
  for (reward_table& table : own) {
    const auto groups = table.groups();
    for (std::size_t p = 0; p < table.prompts.size(); ++p) {
      const prompt_id id = table.prompts.id(p);
      const auto rewards = groups[static_cast<infalign::index_t>(p)];
      const prompt_header header{id.is_text ? 1u : 0u, id.bytes.size(), static_cast<std::uint64_t>(rewards.size()),
                                 table.first_line[p]};
      std::string& part = parts[static_cast<std::size_t>(owner_of(id, ranks))];
      put(part, &header, 1);
      put(part, id.bytes.data(), id.bytes.size());
      put(part, rewards.data(), static_cast<std::size_t>(rewards.size()));
    }
    missing_here += table.missing;
    table = reward_table();  // what is packed is needed no more
  }
  MPI_Allreduce(&missing_here, &missing, 1, MPI_UINT64_T, MPI_SUM, all);
  std::vector<int> sent(n), received(n), sent_at(n), received_at(n);
  std::string out, in;
  for (std::size_t r = 0; r < n; ++r) {
    sent[r] = count_of(parts[r].size());
    sent_at[r] = count_of(out.size());
    out.empty() ? out.swap(parts[r]) : void(out += parts[r]);
    std::string().swap(parts[r]);
  }
  MPI_Alltoall(sent.data(), 1, MPI_INT, received.data(), 1, MPI_INT, all);
  std::size_t total = 0;
  for (std::size_t r = 0; r < n; ++r) {
    received_at[r] = count_of(total);
    total += static_cast<std::size_t>(received[r]);
  }
  in.resize(total);
  MPI_Alltoallv(out.data(), sent.data(), sent_at.data(), MPI_BYTE, in.data(), received.data(), received_at.data(), MPI_BYTE,
                all);
  std::string().swap(out);
  reward_table owned = table_of(in);
  owned.name = name;
  owned.missing = missing;
  return owned;
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
