// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tables of rewards on several ranks: every prompt gets an owner, to whom all ranks send what they have read of it.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "infalign/statistics/summary.hpp"
#include "reward_table.hpp"

namespace command {

/// The rank that owns a prompt: by a hash of its id (FNV-1a), the same on every machine.
int owner_of(const prompt_id& id, int ranks);

/// Reads the files `paths[rank], paths[rank + ranks], …`. Throws `failure` as `read_rewards` does. `exchanged` takes their order for granted.
std::vector<reward_table> read_shards(const std::vector<std::string>& paths, const record_options& options, int rank,
                                      int ranks);

/// The rewards of the prompts that this rank owns, from all ranks, in the order of `files`, with their clusters, strata and answers where
/// these are read. Collective: all ranks must call it. Throws `failure` where files name different clusters or strata of a prompt.
/// Memory: what is sent and what is received, 8 bytes a reward and 48 and the id a prompt and file (and 16 and its bytes for each cluster,
/// stratum and answer), twice while they are in transit.
reward_table exchanged(std::vector<reward_table> own, const std::vector<std::string>& files, MPI_Comm all);

/// Of the prompts that this rank wants, those that some rank owns and that have rewards. Collective. Memory: the wanted ids, and the rewards
/// that other ranks and this one are sent, twice while they are in transit.
reward_table fetched(const reward_table& owned, const prompt_index& wanted, MPI_Comm all);

/// The states of all ranks merged in their order, on every rank: of any state that is trivially copyable. Collective.
template <class State>
State merged(const State& own, MPI_Comm all) {
  static_assert(std::is_trivially_copyable_v<State>);
  int ranks = 0;
  MPI_Comm_size(all, &ranks);
  std::vector<State> parts(static_cast<std::size_t>(ranks));
  MPI_Allgather(&own, sizeof(State), MPI_BYTE, parts.data(), sizeof(State), MPI_BYTE, all);
  State whole;
  for (const State& part : parts) whole.merge(part);
  return whole;
}

/// Sums that belong to names, added up over ranks where the names are owned. Returns those of the names that this rank owns. Collective.
std::vector<double> owned_sums(const prompt_index& names, const std::vector<double>& sums, MPI_Comm all);

/// Summaries that belong to names, merged over ranks, with the names in their order, integers first. Collective; each rank gets all of them.
struct named_summaries {
  prompt_index names;
  std::vector<infalign::summary> summaries;
};
named_summaries gathered(const prompt_index& names, const std::vector<infalign::summary>& own, MPI_Comm all);

/// The summary of all ranks, on every rank, by an `MPI_Op` of ours. Collective.
infalign::summary reduced(const infalign::summary& own, MPI_Comm all);

}  // namespace command
