// SPDX-License-Identifier: Apache-2.0
/// \file
/// The two exact ways to rank the rewards of a prompt among its references, as kernels for a team. One compares with every
/// reference, the other searches in sorted references.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "infalign/backend/validate.hpp"
#include "infalign/calibration/detail/tie_counts.hpp"
#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"
#include "infalign/transform/identity.hpp"

namespace infalign::detail {

/// Every reference counts one.
struct unit_weights {
  template <class Team, class T>
  struct prompt {
    template <class At>
    INFALIGN_HD unit_weight load(At, index_t) const {
      return {};
    }
    static INFALIGN_HD double total(Team& team, const typename Team::template vec<T>& counts) { return team.count(counts); }
    INFALIGN_HD double at(index_t) const { return 1; }
  };
  template <class References>
  using compute = compute_t<typename References::value_type>;

  template <class T, class Team>
  INFALIGN_HD auto of(Team&, index_t, index_t references, double& total) const {
    total = static_cast<double>(references);
    return prompt<Team, T>{};
  }
};

/// Weights of the references, scaled and rounded to whole numbers. Their sum stays below 2^53, so every sum is exact.
template <class Weights>
struct group_weights {
  using value_type = typename Weights::value_type;
  Weights weights;

  template <class Team, class T>
  struct prompt {
    const value_type* weights;
    double scale;  // two factors, because their product may be beyond the range of double
    double fine_scale;
    /// The weights at the positions `begin + at`.
    template <class At>
    INFALIGN_HD auto load(At at, index_t begin) const {
      using V = typename Team::template vec<T>;
      const V shift(0x1.0p52);  // adding and subtracting 2^52 rounds to a whole number
      return (at.load(weights + begin, T(0)) * V(scale) * V(fine_scale) + shift) - shift;
    }
    static INFALIGN_HD double total(Team& team, const typename Team::template vec<T>& sums) { return team.sum(sums); }
    INFALIGN_HD double at(index_t i) const {
      return (static_cast<double>(weights[i]) * scale * fine_scale + 0x1.0p52) - 0x1.0p52;
    }
  };
  template <class References>
  using compute = double;

  template <class T, class Team>
  INFALIGN_HD auto of(Team& team, index_t g, index_t references, double& total) const {
    using V = typename Team::template vec<T>;
    const value_type* values = weights[g].data();
    V largest(0);
    team.template loop<T>(references, [&](auto at, auto) {
      const V w = at.load(values, T(0));
      largest = select(largest < w, w, largest);
    });
    using std::frexp;
    using std::ldexp;
    int weight_exponent = 0;
    int count_exponent = 0;
    frexp(team.maximum(largest), &weight_exponent);
    frexp(static_cast<double>(references), &count_exponent);
    const int bits = 51 - weight_exponent - count_exponent;
    const prompt<Team, T> scaled{values, ldexp(1.0, bits / 2), ldexp(1.0, bits - bits / 2)};
    V sum(0);
    team.template loop<T>(references, [&](auto at, auto) { sum = sum + scaled.load(at, 0); });
    total = team.sum(sum);
    return scaled;
  }
};

template <class W>
group_weights(W) -> group_weights<W>;

template <class Transform, class T, class Team, class Out>
INFALIGN_HD void transform_in_place(Team& team, const Transform& transform, Out out) {
  if constexpr (!std::same_as<Transform, identity>)
    team.template loop<T>(out.size(), [&](auto at, auto) { at.store(out.data(), transform(at.load(out.data()))); });
}

/// Compares a block of rewards, held in registers, with every reference of the prompt.
template <class References, class Weights, class Rewards, class Out, class Count>
struct count_kernel {
  References references;
  Weights weights;
  Rewards rewards;
  Out out;
  Count count;
  bool leave_one_out;

  using T = typename Weights::template compute<References>;
  /// The most rewards for which every accumulator stays in a register.
  static constexpr int block = 8 / Count::components;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto group = references[g];
    const auto values = rewards[g];
    double total = 0;
    const auto weight = weights.template of<T>(team, g, group.size(), total);
    index_t j = 0;
    for (; j + block <= values.size(); j += block) rank<block>(team, g, group, weight, total, j);
    if constexpr (block > 4)
      for (; j + 4 <= values.size(); j += 4) rank<4>(team, g, group, weight, total, j);
    for (; j < values.size(); ++j) rank<1>(team, g, group, weight, total, j);
  }

 private:
  template <std::size_t Block, class Team, class Group, class Weight>
  INFALIGN_HD void rank(Team& team, index_t g, Group group, const Weight& weight, double total, index_t first) const {
    using V = typename Team::template vec<T>;
    constexpr std::size_t C = Count::components;
    // Whole numbers are exact in float up to 2^24; no reference adds more than 2 to a lane.
    constexpr index_t exact = index_t{1} << 22;
    const auto values = rewards[g];
    V x[Block];
    double sums[Block * C] = {};
    for (std::size_t b = 0; b < Block; ++b) x[b] = V(static_cast<T>(values[first + static_cast<index_t>(b)]));
    for (index_t begin = 0; begin < group.size(); begin += exact) {
      const index_t n = group.size() - begin < exact ? group.size() - begin : exact;
      const auto* chunk = group.data() + begin;
      V counts[Block * C];
      for (V& c : counts) c = V(0);
      team.template loop<T>(n, [&](auto at, auto) {
        const V reference = at.load(chunk, infinity<T>);  // padding is above every reward: it is not counted
        const auto w = weight.load(at, begin);
        for (std::size_t b = 0; b < Block; ++b) count.add(at, counts + b * C, reference, x[b], w);
      });
      for (std::size_t c = 0; c < Block * C; ++c) sums[c] += Weight::total(team, counts[c]);
    }
    const auto result = out[g];
    team.items(Block, [&](index_t b) {
      const double self = leave_one_out ? weight.at(first + b) : 0.0;
      const index_t position = rewards.offset(g) + first + b;
      result[first + b] =
          stored_share<typename Out::value_type>(count.value(sums + b * Count::components, total, self, position));
    });
  }
};
template <class R, class W, class Y, class O, class C>
count_kernel(R, W, Y, O, C, bool) -> count_kernel<R, W, Y, O, C>;

/// Bisects in the sorted references of the prompt. Each lane searches for rewards of its own.
template <class Sorted, class Rewards, class Out, class Count>
struct search_kernel {
  Sorted sorted;
  Rewards rewards;
  Out out;
  Count count;
  bool leave_one_out;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto group = sorted[g];
    const auto values = rewards[g];
    const auto result = out[g];
    const double self = leave_one_out ? 1.0 : 0.0;
    team.items(values.size(), [&](index_t j) {
      const auto x = values[j];
      double counts[Count::components];
      count.from_ranks(counts, ranks_among_sorted(group.data(), group.size(), x));
      const double u = count.value(counts, static_cast<double>(group.size()), self, rewards.offset(g) + j);
      result[j] = stored_share<typename Out::value_type>(u);
    });
  }
};
template <class S, class Y, class O, class C>
search_kernel(S, Y, O, C, bool) -> search_kernel<S, Y, O, C>;

/// Ranks a group and transforms it while it is in cache.
template <class Rank, class Transform>
struct ranked_then_transformed {
  Rank rank;
  Transform transform;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    rank(team, g);
    transform_in_place<Transform, compute_t<typename decltype(rank.out)::value_type>>(team, transform, rank.out[g]);
  }
};
template <class R, class F>
ranked_then_transformed(R, F) -> ranked_then_transformed<R, F>;

template <class Weights>
struct total_weight_kernel {
  Weights weights;
  double* totals;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    double total = 0;
    group_weights<Weights>{weights}.template of<double>(team, g, weights[g].size(), total);
    team.once([&] { totals[g] = total; });
  }
};

template <class W>
total_weight_kernel(W, double*) -> total_weight_kernel<W>;

template <class T>
struct is_not_positive {
  const T* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    return !(v > decltype(v + v)(0));
  }
};

/// Weights are finite, not negative, and not all zero for a prompt.
template <class B, class Weights>
void expects_weights(B& on, std::string_view function, const Weights& weights) {
  if (!on.checks_values()) return;
  expects_each<is_negative_or_not_finite>(on, function, "weights", weights, "finite and not negative");
  auto frame = on.scratch();
  double* const totals = frame.template take<double>(weights.size());
  on.groups(weights.size(), weights.total(), total_weight_kernel{any_groups(weights), totals});
  expects_each<is_not_positive>(on, function, "sum of weights",
                                span<const double, typename Weights::memory_space>(totals, weights.size()), "positive");
}

}  // namespace infalign::detail
