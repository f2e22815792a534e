// SPDX-License-Identifier: Apache-2.0
/// \file
/// Over-optimisation: what best-of-N, best-of-Poisson and soft best-of-N are worth by the true reward when they select by a proxy.
/// More samples find better proxies; beyond some number they find worse responses. Curves show where, and `choose_on_curve`
/// (statistics/choose_on_curve.hpp) says how sure that is.
///
/// \code
/// proxy_reward_curve(on, proxy_rewards, true_rewards, rows<double>(curve.data(), prompts, 64));
/// const curve_choice best = choose_on_curve(rows<const double>(curve.data(), prompts, 64));
/// best.step + 1;           // the N to run
/// best.first, best.last;   // those that are not significantly worse
/// \endcode
#pragma once

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/error.hpp"
#include "infalign/evaluation/curve.hpp"
#include "infalign/evaluation/detail/hedge_kernels.hpp"

namespace infalign {

namespace detail {
template <class B, class Proxy, class Truth>
void check_pairs(B& on, std::string_view function, const Proxy& proxy, const Truth& truth) {
  expects_groups(on, function, "true_rewards", truth);
  expects_same_shape(on, function, "true_rewards", truth, "proxy_rewards", proxy);
  expects_finite(on, function, "true_rewards", truth);
}

template <class Groups>
struct range_kernel {
  Groups groups;
  double* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto own = groups[g];
    team.once([&] {
      double low = infinity<double>, high = -infinity<double>;
      for (index_t i = 0; i < own.size(); ++i) {
        const auto x = static_cast<double>(own[i]);
        low = x < low ? x : low;
        high = x > high ? x : high;
      }
      out[g] = high - low;
    });
  }
};
template <class G>
range_kernel(G, double*) -> range_kernel<G>;

struct largest_kernel {
  const double* values;
  index_t n;
  double* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    typename Team::template vec<double> largest(0.0);
    team.template loop<double>(n, [&](auto at, auto) { largest = max(largest, at.load(values)); });
    const double found = team.maximum(largest);
    team.once([&] { *out = found; });
  }
};

/// The largest difference of two values of one group.
template <class B, class Groups>
double largest_range(B& on, const Groups& groups) {
  auto frame = on.scratch();
  double* const ranges = frame.template take<double>(groups.size() + 1);
  on.groups(groups.size(), groups.total(), range_kernel{any_groups(groups), ranges});
  on.groups(1, groups.size(), largest_kernel{ranges, groups.size(), ranges + groups.size()});
  return on.read(ranges + groups.size());
}

/// In batches of prompts, so that scratch memory stays small.
template <class B, class Proxy, class Truth, class Space>
void run_soft_best_of(B& on, const Proxy& proxy, const Truth& truth, index_t samples, span<const double> lambdas,
                      const rows<double, Space>& out) {
  const any_groups v(proxy);
  const any_groups t(truth);
  using kernel = soft_best_of_kernel<std::remove_const_t<decltype(v)>, std::remove_const_t<decltype(t)>, rows<double, Space>>;
  constexpr index_t batch = 256;
  auto frame = on.scratch();
  double* const scratch = frame.template take<double>(batch * kernel::scratch_size(samples));
  const index_t size = proxy.total() / proxy.size();
  for (index_t i = 0; i < lambdas.size(); ++i)
    for (index_t first = 0; first < proxy.size(); first += batch) {
      const index_t n = proxy.size() - first < batch ? proxy.size() - first : batch;
      on.groups(n, 30 * n * size * samples, kernel{v, t, first, samples, lambdas[i], scratch, out, i});
    }
}
}  // namespace detail

/// Expected true reward of every prompt when the one of N samples with the largest proxy is served, for N = 1 … M:
/// `out[p][N - 1] = Σ_i t_i·(share of N-subsets in which sample i is served)`. Unbiased: the mean over all N-subsets. Samples with the
/// same proxy share what is served of them. A true reward that is 1 where a judge prefers the response makes it a win rate, and so
/// does one that is calibrated against the samples of another policy (`calibrate`).
///
/// - Shapes: `proxy_rewards` P groups (rows or ragged) of at least M samples, `true_rewards` alike, in the same order; `out` P rows of M.
/// - Cost and errors: as `expected_reward_curve`.
/// - Source: as `expected_reward`; over-optimisation: Gao, Schulman and Hilton, ICML 2023.
template <backend B, grouped Proxy, grouped Truth, class Space>
  requires reachable_from<B, Proxy, Truth>
void proxy_reward_curve(B&& on, const Proxy& proxy_rewards, const Truth& true_rewards, const rows<double, Space>& out,
                        rank_algorithm algorithm = rank_algorithm::automatic) {
  static_assert(reachable_from<B, rows<double, Space>>, "the views must live in the memory of the backend");
  constexpr const char* function = "proxy_reward_curve";
  detail::check_curve(on, function, "proxy_rewards", proxy_rewards, out);
  detail::check_pairs(on, function, proxy_rewards, true_rewards);
  detail::expects_apart(function, "out", out, "true_rewards", true_rewards);
  if (proxy_rewards.empty()) return;
  detail::run_gain_curve(on, function, "proxy_rewards", proxy_rewards, true_rewards, out, curve_of::best, algorithm);
}

/// Win rate by the true reward of best-of-N by proxy against one plain sample of the same policy, for N = 1 … M. The opponent is a
/// sample that is not among the N: the estimate is the mean over all N-subsets and all samples outside, and unbiased. At N = 1 it is ½.
///
/// - Shapes: `proxy_rewards` P groups of at least M + 1 samples, `true_rewards` alike; `out` P rows of M.
/// - Ties of the true reward count ½. Cost: m² comparisons a prompt, then as `expected_reward_curve`.
/// - Errors: as `expected_reward_curve`.
/// - Source: derived, as a U-statistic of N + 1 samples.
template <backend B, grouped Proxy, grouped Truth, class Space>
  requires reachable_from<B, Proxy, Truth>
void proxy_win_rate_curve(B&& on, const Proxy& proxy_rewards, const Truth& true_rewards, const rows<double, Space>& out) {
  static_assert(reachable_from<B, rows<double, Space>>, "the views must live in the memory of the backend");
  constexpr const char* function = "proxy_win_rate_curve";
  detail::check_curve(on, function, "proxy_rewards", proxy_rewards, out);
  detail::check_pairs(on, function, proxy_rewards, true_rewards);
  detail::expects_apart(function, "out", out, "true_rewards", true_rewards);
  const index_t steps = out.columns();
  detail::expects_group_sizes(on, function, "proxy_rewards", proxy_rewards, steps + 1, "fewer than the ", steps + 1,
                              " of the last column of out and its opponent");
  if (proxy_rewards.empty()) return;
  auto frame = on.scratch();
  const value_ranks* const ranks = detail::ranks_of(on, frame, proxy_rewards, proxy_rewards, rank_algorithm::automatic);
  const detail::group_extent sizes = detail::extent_of(on, proxy_rewards);
  const auto table = detail::make_curve_table(on, frame, function, "proxy_rewards", sizes, steps);
  auto* const beaten = frame.template take<detail::beaten_counts>(proxy_rewards.total());
  const index_t work = proxy_rewards.total() * sizes.largest;
  on.groups(proxy_rewards.size(), work, detail::beaten_kernel{any_groups(proxy_rewards), any_groups(true_rewards), beaten});
  on.groups(proxy_rewards.size(), proxy_rewards.total() * steps,
            detail::proxy_win_rate_kernel<rows<double, Space>>{ranks, beaten, shape<Proxy>::offsets(proxy_rewards).data(),
                                                               sizes.largest, table, out});
}

/// What best-of-Poisson is worth, from the curve of best-of-N: `out[p][i] = Σ_n P(1 + Poisson(μ_i) = n)·curve[p][n - 1]`. More than
/// M samples count as M: it is exact for a procedure that stops at M, and unbiased if the curve is. Against the procedure without a
/// stop the error is at most `P(1 + Poisson(μ) > M)` times the range of the curve; for μ ≤ M - 4√M that is below 1e-4.
///
/// - Shapes: `curve` P rows of M ≥ 1 values; `means` K values of at least 0; `out` P rows of K.
/// - Cost: P·K·M. Errors: `shape_error`, `domain_error` for a mean that is negative or not finite, before anything is written.
template <backend B, class Space>
void best_of_poisson_curve(B&& on, const rows<const double, Space>& curve, const span<const double, Space>& means,
                           const rows<double, Space>& out) {
  static_assert(reachable_from<B, rows<double, Space>>, "the views must live in the memory of the backend");
  constexpr const char* function = "best_of_poisson_curve";
  detail::expects_groups(on, function, "curve", curve);
  detail::expects_groups(on, function, "out", out);
  detail::expects_span(function, "means", means);
  detail::expects_same_count(function, "out", out, "curve", curve);
  expects<shape_error>(curve.columns() >= 1 || curve.empty(), function, "curve has no columns");
  expects<shape_error>(out.columns() == means.size(), function, "out has ", out.columns(), " columns, but means has ",
                       means.size(), " values");
  detail::expects_apart(function, "out", out, "curve", curve);
  detail::expects_apart(function, "out", out, "means", means);
  detail::expects_range(on, function, "means", means, 0.0, 1e9);
  if (curve.empty() || means.empty()) return;
  auto frame = on.scratch();
  double* const weights = frame.template take<double>(means.size() * curve.columns());
  on.groups(means.size(), 16 * means.size() * curve.columns(),
            detail::poisson_weights_kernel{means.data(), curve.columns(), weights});
  on.groups(curve.size(), curve.total() * means.size(),
            detail::poisson_mixture_kernel<rows<const double, Space>, rows<double, Space>>{curve, weights, out});
}

/// Expected true reward of every prompt under soft best-of-N: of N samples, sample i is served with a probability proportional to
/// `e^{v_i/λ}`, v being the proxy. λ → 0 is best-of-N by proxy, λ → ∞ a plain sample. Unbiased: the mean over all N-subsets of the m
/// samples, to 1e-9 of the largest true reward, without drawing any.
///
/// - Shapes: `proxy_rewards` P groups of at least N samples, `true_rewards` alike; `lambdas` K values in the unit of the proxy, in host
///   memory; `out` P rows of K.
/// - Cost: per λ and prompt `(113 + 3.3·range/λ)·m·N` steps, several at a time, range being that of the prompt's proxies.
/// - Errors: `shape_error`; `domain_error` for values that are not finite, a λ that is not positive, or so small that a prompt's range
///   of proxies is over 500λ (there it is `best_of` to the last digit, unless proxies differ by no more than λ).
/// - Source: soft best-of-N: Verdun et al., arXiv 2505.03156; its mean over subsets as an integral: derived.
template <backend B, grouped Proxy, grouped Truth, class Space>
  requires reachable_from<B, Proxy, Truth>
void soft_best_of_curve(B&& on, const Proxy& proxy_rewards, const Truth& true_rewards, index_t samples,
                        span<const double> lambdas, const rows<double, Space>& out) {
  static_assert(reachable_from<B, rows<double, Space>>, "the views must live in the memory of the backend");
  constexpr const char* function = "soft_best_of_curve";
  expects<domain_error>(samples >= 1, function, "samples is ", samples, ", must be at least 1");
  detail::expects_groups(on, function, "proxy_rewards", proxy_rewards);
  detail::expects_groups(on, function, "out", out);
  detail::expects_same_count(function, "out", out, "proxy_rewards", proxy_rewards);
  expects<shape_error>(out.columns() == lambdas.size(), function, "out has ", out.columns(), " columns, but lambdas has ",
                       lambdas.size(), " values");
  detail::expects_apart(function, "out", out, "proxy_rewards", proxy_rewards);
  detail::expects_apart(function, "out", out, "true_rewards", true_rewards);
  detail::expects_group_sizes(on, function, "proxy_rewards", proxy_rewards, samples, "fewer than the ", samples,
                              " that are drawn");
  detail::expects_finite(on, function, "proxy_rewards", proxy_rewards);
  detail::check_pairs(on, function, proxy_rewards, true_rewards);
  if (proxy_rewards.empty() || lambdas.empty()) return;
  const double range = detail::largest_range(on, proxy_rewards);
  for (index_t i = 0; i < lambdas.size(); ++i)
    expects<domain_error>(lambdas[i] > 0 && range <= 500 * lambdas[i], function, "lambdas[", i, "] is ", lambdas[i],
                          ", must be positive and at least a 500th of the largest range of a prompt's proxies, ", range);
  detail::run_soft_best_of(on, proxy_rewards, true_rewards, samples, lambdas, out);
}

}  // namespace infalign
