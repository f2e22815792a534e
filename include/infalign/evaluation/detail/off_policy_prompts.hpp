// SPDX-License-Identifier: Apache-2.0
/// \file
/// What off-policy evaluation asks of all prompts at once: before a prompt is predicted, how long that takes and what rewards there
/// are; after it, means and counts over prompts.
#pragma once

#include "infalign/core/config.hpp"
#include "infalign/core/math.hpp"
#include "infalign/statistics/summarize.hpp"

namespace infalign {

/// What a prompt's prediction needs to know of the rewards of all prompts: a state that merges.
struct off_policy_pool {
  double top = -infinity<double>;    ///< the largest reward
  double bottom = infinity<double>;  ///< the smallest
  double excess = 0;                 ///< by how much a prompt's largest exceeds its median, at most
  index_t prompts = 0;

  [[nodiscard]] INFALIGN_HD bool vary() const { return top > bottom; }
  INFALIGN_HD void merge(const off_policy_pool& other) {
    top = detail::max(top, other.top);
    bottom = other.bottom < bottom ? other.bottom : bottom;
    excess = detail::max(excess, other.excess);
    prompts += other.prompts;
  }
};

/// What predictions of prompts add up to: a state that merges.
struct off_policy_sums {
  /// KL, standard and inference-time win rate: corrected, plug-in, unseen; effective samples, blind, tied; of halves.
  summary summaries[15];
  index_t thin = 0;
  index_t blind = 0;
  index_t small = 0;
  index_t tied = 0;

  INFALIGN_HD void merge(const off_policy_sums& other) {
    for (int i = 0; i < 15; ++i) summaries[i].merge(other.summaries[i]);
    thin += other.thin;
    blind += other.blind;
    small += other.small;
    tied += other.tied;
  }
};

}  // namespace infalign

namespace infalign::detail {

/// Fewer effective samples than this are thin.
inline constexpr double enough_effective_samples = 4;

/// The steps that a prompt takes, less `most_left_out_steps`: its distinct values, times the distinct ways to leave a sample out,
/// which are those that `stands_for` counts. Both numbers are kept for the message.
inline constexpr double most_left_out_steps = 0x1p27;
template <class Sorted>
struct left_out_steps_kernel {
  Sorted sorted;
  bool by_rank;
  double* levels;
  double* ways;
  double* excess;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto r = sorted[g];
    const index_t n = r.size();
    const auto starts = [&](index_t i) { return i == 0 || !(r[i] == r[i - 1]); };
    const auto occurs_once = [&](index_t i) { return starts(i) && (i + 1 == n || starts(i + 1)); };
    const double distinct = team.sum_items(n, [&](index_t i) { return starts(i) ? 1.0 : 0.0; });
    const double different = team.sum_items(
        n, [&](index_t i) { return starts(i) && !(by_rank && i > 0 && occurs_once(i) && occurs_once(i - 1)) ? 1.0 : 0.0; });
    team.once([&] {
      levels[g] = distinct;
      ways[g] = different;
      excess[g] = distinct * different - most_left_out_steps;
    });
  }
};

/// The largest and the smallest reward of every prompt, and by how much the largest exceeds the median.
template <class Sorted>
struct ends_kernel {
  Sorted sorted;
  double* largest;
  double* smallest;
  double* excess;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto r = sorted[g];
    team.once([&] {
      largest[g] = static_cast<double>(r[r.size() - 1]);
      smallest[g] = static_cast<double>(r[0]);
      excess[g] = largest[g] - static_cast<double>(r[r.size() / 2]);
    });
  }
};
struct pooled_kernel {
  const double* largest;
  const double* smallest;
  const double* excess;
  index_t prompts;
  off_policy_pool* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    using V = typename Team::template vec<double>;
    V top(-infinity<double>), bottom(-infinity<double>), widest(0);
    team.template loop<double>(prompts, [&](auto at, auto) {
      top = max(top, at.load(largest, -infinity<double>));
      bottom = max(bottom, -at.load(smallest, infinity<double>));
      widest = max(widest, at.load(excess, 0.0));
    });
    const double most = team.maximum(top), least = -team.maximum(bottom), most_excess = team.maximum(widest);
    team.once([&] { *out = {most, least, most_excess, prompts}; });
  }
};

/// Copies the samples of every prompt, and tells where its first half and its second half begin.
template <class Groups, class T>
struct halves_kernel {
  Groups groups;
  T* copy;
  index_t* offsets;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto r = groups[g];
    const index_t begin = groups.offset(g), n = r.size();
    team.items(n, [&](index_t i) { copy[begin + i] = r[i]; });
    team.once([&] {
      offsets[2 * g] = begin;
      offsets[2 * g + 1] = begin + n / 2;
      if (g + 1 == groups.size()) offsets[2 * g + 2] = begin + n;
    });
  }
};

/// The summaries of columns.
struct off_policy_summary_kernel {
  const double* columns;
  index_t size;
  summary* summaries;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    summary_kernel<double>{columns + g * size, size, summaries + g}(team, 0);
  }
};
template <class Groups>
struct off_policy_count_kernel {
  Groups groups;
  const double* effective_samples;
  const double* blind;
  const double* tied;
  off_policy_sums* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    const index_t n = groups.size();
    const double thin =
        team.sum_items(n, [&](index_t i) { return effective_samples[i] < enough_effective_samples ? 1.0 : 0.0; });
    const double blind_prompts = team.sum_items(n, [&](index_t i) { return blind[i]; });
    const double ties = team.sum_items(n, [&](index_t i) { return tied[i]; });
    const double few = team.sum_items(n, [&](index_t i) { return groups[i].size() < 4 ? 1.0 : 0.0; });
    team.once([&] {
      out->thin = static_cast<index_t>(thin);
      out->blind = static_cast<index_t>(blind_prompts);
      out->small = static_cast<index_t>(few);
      out->tied = static_cast<index_t>(ties);
    });
  }
};

}  // namespace infalign::detail
