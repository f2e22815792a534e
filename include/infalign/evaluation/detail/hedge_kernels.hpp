// SPDX-License-Identifier: Apache-2.0
/// \file
/// What is served by rank of a proxy, valued by another reward of the same samples.
#pragma once

#include <cmath>

#include "infalign/backend/backend.hpp"
#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/shapes.hpp"
#include "infalign/evaluation/detail/curve_table.hpp"

namespace infalign::detail {

/// How often the true reward of a sample beats that of others of its prompt, ties counting ½: those with a lower proxy, an equal one,
/// a higher one.
struct beaten_counts {
  double low;
  double tied;
  double high;
};

/// For each sample `beaten_counts` and nothing else: O(m²) comparisons.
template <class Proxy, class Truth>
struct beaten_kernel {
  Proxy proxy;
  Truth truth;
  beaten_counts* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto v = proxy[g];
    const auto t = truth[g];
    beaten_counts* const to = out + proxy.offset(g);
    team.items(v.size(), [&](index_t i) {
      beaten_counts found{0, 0, 0};
      for (index_t j = 0; j < v.size(); ++j) {
        if (j == i) continue;
        const double wins = t[i] > t[j] ? 1.0 : t[i] == t[j] ? 0.5 : 0.0;
        (v[j] < v[i] ? found.low : v[j] == v[i] ? found.tied : found.high) += wins;
      }
      to[i] = found;
    });
  }
};
template <class P, class T>
beaten_kernel(P, T, beaten_counts*) -> beaten_kernel<P, T>;

/// The win rate of best-of-N by proxy against one further sample j: N of the m-1 others are drawn. Leaving j out lowers the counts
/// of a sample i by one below it, at it, or not at all, as the proxy of j is lower, tied or higher.
template <class Out>
struct proxy_win_rate_kernel {
  const value_ranks* ranks;
  const beaten_counts* beaten;
  const index_t* offsets;  ///< null for groups of `size`
  index_t size;
  curve_table table;
  Out out;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using V = typename Team::template vec<double>;
    const index_t m = offsets == nullptr ? size : offsets[g + 1] - offsets[g],
                  first = offsets == nullptr ? g * size : offsets[g];
    team.template loop<double>(table.steps, [&](auto at, auto) {
      V sum(0.0);
      const auto step = [&](index_t to, index_t from) { return load_on(at, table.of(to)) - load_on(at, table.of(from)); };
      for (index_t i = 0; i < m; ++i) {
        const value_ranks r = ranks[first + i];
        const beaten_counts n = beaten[first + i];
        const auto ties = static_cast<double>(r.at_or_below - r.below);
        if (n.low > 0) sum = sum + step(r.at_or_below - 1, r.below - 1) * V(n.low / ties);
        if (n.tied > 0) sum = sum + step(r.at_or_below - 1, r.below) * V(n.tied / (ties - 1));
        if (n.high > 0) sum = sum + step(r.at_or_below, r.below) * V(n.high / ties);
      }
      at.store(out[g].data(), sum / (V(static_cast<double>(m)) * load_on(at, table.of(m - 1))));
    });
  }
};

/// `out[i] = Σ_n P(1 + Poisson(μ_i) = n)·curve[n]`, larger n counted as the last of the curve.
template <class Curve, class Out>
struct poisson_mixture_kernel {
  Curve curve;
  const double* weights;  ///< one row a mean, one column a step
  Out out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto values = curve[g];
    const auto to = out[g];
    team.items(to.size(), [&](index_t i) {
      double sum = 0;
      for (index_t n = 0; n < values.size(); ++n) sum += weights[i * values.size() + n] * values[n];
      to[i] = sum;
    });
  }
};

/// Weights of `poisson_mixture_kernel`: probabilities of a Poisson distribution, and what is left for the last step.
struct poisson_weights_kernel {
  const double* means;
  index_t steps;
  double* weights;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t i) const {
    team.once([&] {
      double left = 1;
      for (index_t n = 0; n + 1 < steps; ++n) {
        const double p = poisson_probability(means[i], n);
        weights[i * steps + n] = p;
        left -= p;
      }
      weights[i * steps + steps - 1] = left > 0 ? left : 0;
    });
  }
};

/// The mean over all N-subsets of `Σ t_i·e^{v_i/λ}/Σ e^{v_i/λ}`. With `1/A = ∫ e^{-sA} ds` a subset's value is an integral of
/// `Σ_i t_i·a_i·Π_j e^{-s·a_j}`, whose mean over subsets is an elementary symmetric polynomial: for each node s one recursion over the
/// samples. E_k and F_k are means over k-subsets of the first n samples, so that nothing overflows. Nodes are equidistant in log s,
/// which for integrands of this kind converges as `e^{-π²/h}`. Lanes work on different nodes.
template <class Proxy, class Truth, class Out>
struct soft_best_of_kernel {
  static constexpr double step = 0.3, first_node = -30, beyond = 4;
  static constexpr index_t chunk = 64;

  Proxy proxy;
  Truth truth;
  index_t first_group;
  index_t samples;  ///< N
  double lambda;
  double* scratch;  ///< 2·(N + 1)·chunk numbers a group, and one chunk of nodes
  Out out;          ///< a row a group
  index_t column;

  static index_t scratch_size(index_t samples) { return (2 * samples + 3) * chunk; }

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t local) const {
    using std::exp;
    const index_t g = first_group + local;
    const auto v = proxy[g];
    double* const memory = scratch + local * (2 * samples + 3) * chunk;
    double low = infinity<double>, high = -infinity<double>;
    for (index_t j = 0; j < v.size(); ++j) {
      const auto x = static_cast<double>(v[j]);
      low = x < low ? x : low;
      high = x > high ? x : high;
    }
    const double last_node = (high - low) / lambda + beyond;
    const auto nodes = static_cast<index_t>((last_node - first_node) / step) + 1;
    double sum = 0;
    for (index_t begin = 0; begin < nodes; begin += chunk) {
      const index_t n = nodes - begin < chunk ? nodes - begin : chunk;
      team.items(n, [&](index_t q) { memory[q] = exp(first_node + step * static_cast<double>(begin + q)); });
      sum += of_nodes(team, g, high, n, memory);
    }
    team.once([&] { out[g].data()[column] = step * sum; });
  }

 private:
  template <class Team>
  INFALIGN_HD double of_nodes(Team& team, index_t g, double high, index_t n, double* memory) const {
    using V = typename Team::template vec<double>;
    using std::exp;
    const auto v = proxy[g];
    const auto t = truth[g];
    double* const even = memory + chunk;
    double* const marked = even + (samples + 1) * chunk;
    V sum(0.0);
    team.template loop<double>(n, [&](auto at, auto) {
      const V s = at.load(memory);
      for (index_t k = 0; k <= samples; ++k) {
        at.store(even + k * chunk, V(k == 0 ? 1.0 : 0.0));
        at.store(marked + k * chunk, V(0.0));
      }
      for (index_t j = 0; j < v.size(); ++j) {
        const double a = exp((static_cast<double>(v[j]) - high) / lambda);
        const V x = detail::natural_exp(V(-a) * s), gain = V(static_cast<double>(t[j]) * a);
        const auto seen = static_cast<double>(j + 1);
        for (index_t k = samples < j + 1 ? samples : j + 1; k >= 1; --k) {
          const double with = static_cast<double>(k) / seen;
          const V e = at.load(even + (k - 1) * chunk), f = at.load(marked + (k - 1) * chunk);
          at.store(marked + k * chunk, at.load(marked + k * chunk) * V(1 - with) + x * (f + gain * e) * V(with));
          at.store(even + k * chunk, at.load(even + k * chunk) * V(1 - with) + x * e * V(with));
        }
      }
      sum = sum + s * at.load(marked + samples * chunk);
    });
    return team.sum(sum);
  }
};
template <class P, class T, class O>
soft_best_of_kernel(P, T, index_t, index_t, double, double*, O, index_t) -> soft_best_of_kernel<P, T, O>;

}  // namespace infalign::detail
