// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tables of rewards on several ranks: every prompt gets an owner, to whom all ranks send what they have read of it.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "infalign/statistics/summary.hpp"
#include "reward_table.hpp"

namespace command {

/// The rank that owns a prompt: by a hash of its id (FNV-1a), the same on every machine.
int owner_of(const prompt_id& id, int ranks);

/// Reads the files `paths[rank], paths[rank + ranks], …`. Throws `failure` as `read_rewards` does.
std::vector<reward_table> read_shards(const std::vector<std::string>& paths, const record_options& options, int rank,
                                      int ranks);

/// The rewards of the prompts that this rank owns, from all ranks, in the order of ranks. Collective: all ranks must call it.
/// Memory: what is sent and what is received, 8 bytes a reward and 32 and the id a prompt, twice while they are in transit.
reward_table exchanged(std::vector<reward_table> own, MPI_Comm all);

/// The summary of all ranks, on every rank, by an `MPI_Op` of ours. Collective.
infalign::summary reduced(const infalign::summary& own, MPI_Comm all);

}  // namespace command
