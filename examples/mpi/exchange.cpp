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

/// Adds prompts as they come to a table whose rewards lie in the order of prompts: rewards are kept by prompt until all are there.
class table_builder {
 public:
  void add(const prompt_id& id, std::uint64_t first_line, const double* rewards, std::size_t n) {
    const std::uint32_t prompt = table_.prompts.find_or_add(id);
    if (prompt == rewards_.size()) rewards_.emplace_back(), table_.first_line.push_back(first_line);
    rewards_[prompt].insert(rewards_[prompt].end(), rewards, rewards + n);
  }
  void add(const reward_table& other) {
    const auto groups = other.groups();
    for (std::size_t p = 0; p < other.prompts.size(); ++p) {
      const auto group = groups[static_cast<infalign::index_t>(p)];
      add(other.prompts.id(p), other.first_line[p], group.data(), static_cast<std::size_t>(group.size()));
    }
    table_.missing += other.missing;
    if (table_.name.empty()) table_.name = other.name;
  }
  [[nodiscard]] reward_table finished(std::string name, std::uint64_t missing) && {
    table_.name = std::move(name);
    table_.missing = missing;
    table_.offsets.push_back(0);
    for (std::vector<double>& of_prompt : rewards_) {
      table_.rewards.insert(table_.rewards.end(), of_prompt.begin(), of_prompt.end());
      table_.offsets.push_back(static_cast<infalign::index_t>(table_.rewards.size()));
      std::vector<double>().swap(of_prompt);
    }
    return std::move(table_);
  }
  [[nodiscard]] reward_table finished() && {
    std::string name = table_.name;
    const std::uint64_t missing = table_.missing;
    return std::move(*this).finished(std::move(name), missing);
  }

 private:
  reward_table table_;
  std::vector<std::vector<double>> rewards_;
};

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

reward_table read_shards(const std::vector<std::string>& paths, const record_options& options, int rank, int ranks) {
  table_builder all;
  for (std::size_t i = static_cast<std::size_t>(rank); i < paths.size(); i += static_cast<std::size_t>(ranks))
    all.add(read_rewards(paths[i], options));
  return std::move(all).finished();
}

reward_table exchanged(const reward_table& own, MPI_Comm all) {
  int ranks = 0;
  MPI_Comm_size(all, &ranks);
  const auto n = static_cast<std::size_t>(ranks);
  std::vector<std::string> parts(n);
  const auto groups = own.groups();
  for (std::size_t p = 0; p < own.prompts.size(); ++p) {
    const prompt_id id = own.prompts.id(p);
    const auto rewards = groups[static_cast<infalign::index_t>(p)];
    const prompt_header header{id.is_text ? 1u : 0u, id.bytes.size(), static_cast<std::uint64_t>(rewards.size()),
                               own.first_line[p]};
    std::string& part = parts[static_cast<std::size_t>(owner_of(id, ranks))];
    put(part, &header, 1);
    put(part, id.bytes.data(), id.bytes.size());
    put(part, rewards.data(), static_cast<std::size_t>(rewards.size()));
  }
  std::vector<int> sent(n), received(n), sent_at(n), received_at(n);
  std::string out;
  for (std::size_t r = 0; r < n; ++r) {
    sent[r] = count_of(parts[r].size());
    sent_at[r] = count_of(out.size());
    out += parts[r];
    std::string().swap(parts[r]);
  }
  MPI_Alltoall(sent.data(), 1, MPI_INT, received.data(), 1, MPI_INT, all);
  std::size_t total = 0;
  for (std::size_t r = 0; r < n; ++r) {
    received_at[r] = count_of(total);
    total += static_cast<std::size_t>(received[r]);
  }
  std::string in(total, '\0');
  MPI_Alltoallv(out.data(), sent.data(), sent_at.data(), MPI_BYTE, in.data(), received.data(), received_at.data(), MPI_BYTE,
                all);
  std::string().swap(out);
  table_builder owned;
  std::vector<double> rewards;
  for (const char *at = in.data(), *end = at + in.size(); at < end;) {
    prompt_header header;
    at = get(at, &header, 1);
    const prompt_id id{header.is_text != 0, {at, header.id_bytes}};
    at += header.id_bytes;
    rewards.resize(header.rewards);
    at = get(at, rewards.data(), rewards.size());
    owned.add(id, header.first_line, rewards.data(), rewards.size());
  }
  std::uint64_t missing = 0;
  MPI_Allreduce(&own.missing, &missing, 1, MPI_UINT64_T, MPI_SUM, all);
  return std::move(owned).finished(own.name, missing);
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
