// SPDX-License-Identifier: Apache-2.0
/// \file
/// The errors that advantages state of themselves, against their formulas in long double.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "infalign/objective/advantage/best_sample.hpp"
#include "infalign/objective/advantage/expected_reward.hpp"
#include "infalign/objective/advantage/generalized.hpp"
#include "infalign/objective/advantage/greedy_baseline.hpp"
#include "infalign/objective/advantage/group_normalized.hpp"
#include "infalign/objective/advantage/leave_one_out.hpp"
#include "infalign/objective/advantage/length_weighted.hpp"
#include "infalign/objective/advantage/max_at_k.hpp"
#include "infalign/objective/advantage/mean_centred.hpp"
#include "infalign/objective/advantage/mean_normalized.hpp"
#include "infalign/objective/advantage/nonzero_scaled.hpp"
#include "infalign/objective/advantage/optimal_token_baseline.hpp"
#include "infalign/objective/advantage/pass_at_k.hpp"
#include "infalign/objective/advantage/returns.hpp"
#include "infalign/objective/advantage/whiten.hpp"
#include "infalign/objective/advantage/win_rate.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
namespace test = infalign::test;

namespace {

using wide = long double;
using wides = std::vector<wide>;

constexpr wide unit = 0x1p-53L;

wide sum(const wides& x) {
  return std::accumulate(x.begin(), x.end(), wide(0));
}
wide mean(const wides& x) {
  return sum(x) / static_cast<wide>(x.size());
}
wide squares(const wides& x) {
  const wide centre = mean(x);
  wide total = 0;
  for (const wide v : x) total += (v - centre) * (v - centre);
  return total;
}
wide largest(const wides& x) {
  wide most = 0;
  for (const wide v : x) most = std::max(most, std::abs(v));
  return most;
}
/// The largest distance from the mean.
wide reach(const wides& x) {
  const wide centre = mean(x);
  wide most = 0;
  for (const wide v : x) most = std::max(most, std::abs(v - centre));
  return most;
}
template <class T>
wides widened(const std::vector<T>& x) {
  return wides(x.begin(), x.end());
}
/// The distances from the first value, which are exact: of a small spread around a large mean, long double would lose eleven bits more
/// than double does.
template <class T>
wides from_first(const std::vector<T>& x) {
  wides all;
  for (const T v : x) all.push_back(static_cast<wide>(v) - static_cast<wide>(x[0]));
  return all;
}

/// The largest error of an entry, less its rounding to `T`, in units of `2⁻⁵³·scale`.
template <class T>
double worst(const std::vector<T>& found, const wides& exact, wide scale) {
  REQUIRE(found.size() == exact.size());
  double most = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const wide error = std::abs(static_cast<wide>(found[i]) - exact[i]);
    const wide rounding = std::is_same_v<T, float> ? 0x1.0001p-24L * std::abs(exact[i]) + 0x1p-149L : 0;
    most = test::larger(most, static_cast<double>(std::max(error - rounding, wide(0)) / (unit * scale)));
  }
  return most;
}

/// Groups of rewards: of size 1 around 0, of a small spread around a large mean, and positive ones.
template <class T>
std::vector<std::vector<T>> groups_of(index_t n) {
  std::vector<std::vector<T>> groups;
  for (const auto& [centre, spread] :
       {std::pair(0.0, 1.0), {1000.0, 0.01}, {-3.0, 1e-3}, {1e6, 1.0}, {0.0, 1e-6}, {20.0, 3.0}}) {
    std::vector<T> r;
    for (const double z : test::normal_values<double>(n, static_cast<std::uint64_t>(7 * n + 3)))
      r.push_back(static_cast<T>(centre + spread * z));
    groups.push_back(r);
  }
  return groups;
}

/// What `call(on, rewards, out)` makes of one group.
template <class C, class Call>
std::vector<typename C::value> of_group(const std::vector<typename C::value>& r, const Call& call) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto n = static_cast<index_t>(r.size());
  typename C::template array<T> rewards(r), out(n);
  call(on, rewards.rows(1, n), out.rows(1, n));
  return out.host();
}

wides mapped(const wides& r, const std::function<wide(wide)>& f) {
  wides all;
  for (const wide x : r) all.push_back(f(x));
  return all;
}

/// The mean reward of what best-of-N or worst-of-N serves, over all N-subsets.
wide served_mean(wides x, index_t n, bool best) {
  std::sort(x.begin(), x.end());
  if (!best) std::reverse(x.begin(), x.end());
  // The share of the subsets of which the sample of rank l is the last: binom(l, N-1)/binom(m, N).
  const auto m = static_cast<index_t>(x.size());
  wide total = 0, share = static_cast<wide>(n) / static_cast<wide>(m);
  for (index_t l = m - 1; l >= n - 1; --l) {
    total += share * x[static_cast<std::size_t>(l)];
    if (l > 0) share *= static_cast<wide>(l - n + 1) / static_cast<wide>(l);
  }
  return total;
}

wides without(wides x, std::size_t i) {
  x.erase(x.begin() + static_cast<std::ptrdiff_t>(i));
  return x;
}

/// `m·(U - U_{-i})`, where `U` is the mean over the subsets of what is served.
wides by_leaving_out(const wides& worth, index_t n, bool best) {
  wides all;
  const auto m = static_cast<wide>(worth.size());
  const wide whole = served_mean(worth, n, best);
  for (std::size_t i = 0; i < worth.size(); ++i) all.push_back(m * (whole - served_mean(without(worth, i), n, best)));
  return all;
}

wide range(const wides& x) {
  return *std::max_element(x.begin(), x.end()) - *std::min_element(x.begin(), x.end());
}

/// Names the function whose errors are compared with what it states.
template <class T>
void expects_within(const std::string& function, const std::vector<T>& found, const wides& exact, wide scale) {
  CAPTURE(function);
  CAPTURE(found.size());
  CHECK(worst(found, exact, scale) <= 1);
}

}  // namespace

TEST_CASE_TEMPLATE("advantages over a mean have the errors that they state", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  constexpr wide epsilon = 1e-6;
  for (const index_t n : {2, 3, 8, 33, 1000})
    for (const auto& group : groups_of<T>(n)) {
      const wides r = from_first(group);
      const wide first = static_cast<wide>(group[0]), count = static_cast<wide>(n), m = mean(r),
                 deviation = std::sqrt(squares(r) / (count - 1));
      const wide error = (count / 2 + 8) * reach(r);
      const auto over_mean = [&](wide factor) { return mapped(r, [&](wide x) { return factor * (x - m); }); };
      const auto check = [&](const std::string& function, wide factor, const auto& call) {
        expects_within(function, of_group<C>(group, call), over_mean(factor), error * std::abs(factor));
      };
      check("mean_centred", 1, [](auto& on, auto x, auto out) { infalign::mean_centred_advantage(on, x, out); });
      check("leave_one_out", count / (count - 1),
            [](auto& on, auto x, auto out) { infalign::leave_one_out_advantage(on, x, out); });
      check("nonzero_scaled", 1, [](auto& on, auto x, auto out) { infalign::nonzero_scaled_advantage(on, x, out); });
      check("group_normalized", 1 / (deviation + epsilon),
            [](auto& on, auto x, auto out) { infalign::group_normalized_advantage(on, x, out, {.epsilon = 1e-6}); });
      check("whiten", 1 / std::sqrt(deviation * deviation + epsilon),
            [](auto& on, auto x, auto out) { infalign::whiten(on, x, out, {.epsilon = 1e-6}); });
      if (*std::min_element(group.begin(), group.end()) > 0)
        check("mean_normalized", 1 / (first + m + epsilon),
              [](auto& on, auto x, auto out) { infalign::mean_normalized_advantage(on, x, out, 1e-6); });

      wides ranked = r;
      std::sort(ranked.begin(), ranked.end());
      const wide lead = ranked.back() - ranked[ranked.size() - 2];
      const auto best = [](auto& on, auto x, auto out) { infalign::best_sample_advantage(on, x, out, {.epsilon = 1e-6}); };
      expects_within("best_sample", of_group<C>(group, best),
                     mapped(r, [&](wide x) { return x == ranked.back() ? lead / (deviation + epsilon) : 0; }),
                     error / (deviation + epsilon));

      const std::vector<T> lengths = test::unit_values<T>(n, 5);
      wide total = 0, products = 0;
      for (std::size_t i = 0; i < r.size(); ++i) {
        total += static_cast<wide>(lengths[i]);
        products += static_cast<wide>(lengths[i]) * r[i];
      }
      const auto by_length = of_group<C>(group, [&](auto& on, auto x, auto out) {
        typename C::template array<T> l(lengths);
        infalign::length_weighted_advantage(on, x, l.rows(1, n), out);
      });
      expects_within("length_weighted", by_length, mapped(r, [&](wide x) { return x - products / total; }),
                     (count / 2 + 8) * largest(widened(group)));
      const auto over_greedy = of_group<C>(group, [&](auto& on, auto x, auto out) {
        typename C::template array<T> greedy(std::vector<T>{group[0]});
        infalign::greedy_baseline_advantage(on, x, greedy.span(), out);
      });
      expects_within("greedy_baseline", over_greedy, r, range(r));
    }
}

TEST_CASE_TEMPLATE("advantages of what procedures serve have the errors that they state", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t m : {5, 8, 33, 200})
    for (const auto& group : groups_of<T>(m))
      for (const index_t n : {1, 2, 4}) {
        const wides r = from_first(group);
        const wide samples = static_cast<wide>(m), error = 16 * samples * static_cast<wide>(n) * range(r);
        const auto best = [&](auto& on, auto x, auto out) {
          infalign::expected_reward_advantage(on, x, infalign::best_of(n), out);
        };
        expects_within("expected_reward, best", of_group<C>(group, best), by_leaving_out(r, n, true), error);
        const auto plain = [&](auto& on, auto x, auto out) {
          infalign::expected_reward_advantage(on, x, infalign::best_of(n), out, infalign::subset_baseline::none);
        };
        wides without_baseline = by_leaving_out(r, n, true);  // both are the worth of subsets that hold i, less that of others
        for (std::size_t i = 0; i < r.size(); ++i)
          without_baseline[i] += static_cast<wide>(n) * (static_cast<wide>(group[0]) + served_mean(without(r, i), n, true));
        expects_within("expected_reward, without baseline", of_group<C>(group, plain), without_baseline,
                       16 * samples * static_cast<wide>(n) * largest(widened(group)));
        if (n > 1) {
          wides at_k = by_leaving_out(r, n, true);
          for (std::size_t i = 0; i < r.size(); ++i) {
            const wides others = without(r, i);
            at_k[i] += static_cast<wide>(n) * (served_mean(others, n, true) - served_mean(others, n - 1, true));
          }
          const auto max_at_k = [&](auto& on, auto x, auto out) { infalign::max_at_k_advantage(on, x, n, out); };
          expects_within("max_at_k", of_group<C>(group, max_at_k), at_k, error);
        }
        const std::vector<T> base = test::normal_values<T>(16, 99);
        const wides worth = mapped(widened(group), [&](wide x) {
          wide wins = 0;
          for (const T z : base) wins += x > static_cast<wide>(z) ? 1 : x == static_cast<wide>(z) ? 0.5L : 0;
          return wins / 16;
        });
        const auto wins = [&](auto& on, auto x, auto out) {
          typename C::template array<T> z(base);
          infalign::win_rate_advantage(on, x, z.rows(1, 16), infalign::worst_of(n), infalign::standard(), out);
        };
        expects_within("win_rate", of_group<C>(group, wins), by_leaving_out(worth, n, false),
                       16 * samples * static_cast<wide>(n));
      }
}

TEST_CASE_TEMPLATE("advantages of verdicts have the errors that they state", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t n : {2, 8, 64, 500})
    for (const index_t k : {index_t(1), index_t(2), n / 2, n})
      for (const index_t passed : {index_t(1), n / 3, n - 1}) {
        std::vector<T> group(static_cast<std::size_t>(n), T(0));
        for (index_t i = 0; i < passed; ++i) group[static_cast<std::size_t>(i)] = 1;
        const auto failed = static_cast<wide>(n - passed);
        wide none = 1;
        for (index_t i = 0; i < k; ++i) none *= std::max(failed - static_cast<wide>(i), wide(0)) / static_cast<wide>(n - i);
        const wide of_passed = none > 0 && none < 1 ? std::sqrt(none / (1 - none)) : 0;
        const wides exact =
            mapped(widened(group), [&](wide x) { return x > 0 ? of_passed : -static_cast<wide>(passed) / failed * of_passed; });
        const auto call = [&](auto& on, auto x, auto out) { infalign::pass_at_k_advantage(on, x, k, out); };
        expects_within("pass_at_k", of_group<C>(group, call), exact, 500 / (1 - none + 1e-300L) * largest(exact) + 1e-300L);
      }
}

TEST_CASE_TEMPLATE("advantages of tokens have the errors that they state", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t n : {2, 3, 8, 33, 1000})
    for (const auto& group : groups_of<T>(n))
      for (const double discount : {0.9, 1.0}) {
        const wides r = widened(group);
        const std::vector<T> values = test::normal_values<T>(n, 12);
        const wides v = widened(values);
        wides returns(r.size()), gae(r.size()), gae_returns(r.size());
        wide after = 0, error_after = 0, all = 0;
        for (std::size_t t = r.size(); t-- > 0;) {
          const wide gamma = discount, next = t + 1 < r.size() ? v[t + 1] : 0;
          returns[t] = after = r[t] + gamma * after;
          gae[t] = error_after = r[t] + gamma * next - v[t] + gamma * static_cast<wide>(0.95) * error_after;
          gae_returns[t] = gae[t] + v[t];
          all += std::abs(r[t]) + 2 * std::abs(v[t]);
        }
        const wide error = static_cast<wide>(n) * all;
        const auto call = [&](auto& on, auto x, auto out) { infalign::discounted_returns(on, x, discount, out); };
        expects_within("discounted_returns", of_group<C>(group, call), returns, error);
        typename C::backend on = C::make_backend();
        typename C::template array<T> rewards(group), of_values(values), advantages(n), targets(n);
        infalign::generalized_advantage(on, rewards.rows(1, n), of_values.rows(1, n), {discount, 0.95}, advantages.rows(1, n),
                                        targets.rows(1, n));
        expects_within("generalized, advantages", advantages.host(), gae, error);
        expects_within("generalized, returns", targets.host(), gae_returns, error);
      }
}

TEST_CASE_TEMPLATE("the optimal token baseline has the error that it states", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  constexpr index_t responses = 6, length = 50;
  for (const auto& of : groups_of<T>(responses * length)) {
    typename C::backend on = C::make_backend();
    const std::vector<T> sizes = test::unit_values<T>(responses * length, 8);
    typename C::template array<T> returns(of), norms(sizes), out(responses * length);
    typename C::template array<index_t> prompts(std::vector<index_t>{0, responses});
    infalign::optimal_token_baseline_advantage(on, returns.rows(responses, length), norms.rows(responses, length),
                                               prompts.span(), out.rows(responses, length), 1e-8);
    wides exact(of.size());
    std::vector<wide> weight(responses);
    for (index_t t = 0; t < length; ++t) {
      wide weights = 1e-8L, products = 0;
      for (index_t j = 0; j < responses; ++j) {
        const auto at = static_cast<std::size_t>(j * length + t);
        weights += weight[static_cast<std::size_t>(j)] += static_cast<wide>(sizes[at]);
        products += static_cast<wide>(of[at]) * weight[static_cast<std::size_t>(j)];
      }
      for (index_t j = 0; j < responses; ++j) {
        const auto at = static_cast<std::size_t>(j * length + t);
        exact[at] = static_cast<wide>(of[at]) - products / weights;
      }
    }
    expects_within("optimal_token_baseline", out.host(), exact, (responses + length + 8) * largest(widened(of)));
  }
}
