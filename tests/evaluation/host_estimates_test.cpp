// SPDX-License-Identifier: Apache-2.0
/// \file
/// Estimates that are computed on the host: votes, the KL of best-of-N and of responses. Against enumeration.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "infalign/evaluation/answers.hpp"
#include "infalign/evaluation/best_of_kl.hpp"
#include "infalign/evaluation/expected_reward.hpp"
#include "infalign/evaluation/sequence_kl.hpp"
#include "support/samples.hpp"

using infalign::estimate;
using infalign::index_t;
namespace test = infalign::test;

namespace {

/// maj@k by its definition: over all k-subsets of the samples, ties broken at random.
double majority_by_subsets(const std::vector<index_t>& counts, index_t correct, int k) {
  std::vector<index_t> samples;
  for (std::size_t a = 0; a < counts.size(); ++a)
    for (index_t i = 0; i < counts[a]; ++i) samples.push_back(static_cast<index_t>(a));
  double sum = 0;
  int subsets = 0;
  for (unsigned mask = 0; mask < (1u << samples.size()); ++mask) {
    if (std::popcount(mask) != k) continue;
    std::vector<int> votes(counts.size());
    for (std::size_t i = 0; i < samples.size(); ++i)
      if (mask >> i & 1u) ++votes[static_cast<std::size_t>(samples[i])];
    int most = 0, ties = 0;
    for (const int v : votes) most = v > most ? v : most;
    for (const int v : votes) ties += v == most ? 1 : 0;
    sum += votes[static_cast<std::size_t>(correct)] == most ? 1.0 / ties : 0;
    ++subsets;
  }
  return sum / subsets;
}

}  // namespace

TEST_CASE("maj@k is the mean over all subsets, ties broken at random") {
  for (const auto& counts :
       std::vector<std::vector<index_t>>{{2, 1}, {3, 3, 2, 0, 1}, {1, 1, 1, 1, 1, 1, 1}, {5}, {4, 6}, {1, 5, 5}}) {
    index_t samples = 0;
    for (const index_t c : counts) samples += c;
    for (index_t k = 1; k <= samples; ++k)
      for (index_t a = 0; a < static_cast<index_t>(counts.size()); ++a) {
        CAPTURE(k);
        CAPTURE(a);
        CHECK(std::abs(infalign::majority_at_k(counts, a, k) - majority_by_subsets(counts, a, static_cast<int>(k))) <= 1e-12);
      }
  }
  const std::vector<index_t> counts{2, 1};
  CHECK(std::abs(infalign::majority_at_k(counts, 0, 2) - 2.0 / 3) <= 1e-14);
  CHECK(infalign::majority_at_k(counts, -1, 2) == 0);
}

// Over simulated answers the mean of the estimates is what k answers give.
TEST_CASE("maj@k from 12 samples is unbiased for five answers") {
  const double rates[] = {0.4, 0.35, 0.15, 0.1};
  std::mt19937_64 generator(2);
  std::discrete_distribution<std::size_t> draw(std::begin(rates), std::end(rates));
  double exact = 0, sum = 0, squares = 0;
  for (int code = 0; code < 4 * 4 * 4 * 4 * 4; ++code) {
    int votes[4] = {}, most = 0, ties = 0;
    double probability = 1;
    for (int i = 0, rest = code; i < 5; ++i, rest /= 4) ++votes[rest % 4], probability *= rates[rest % 4];
    for (const int v : votes) most = v > most ? v : most;
    for (const int v : votes) ties += v == most ? 1 : 0;
    exact += votes[0] == most ? probability / ties : 0;
  }
  const int data_sets = test::draws(4000);
  for (int r = 0; r < data_sets; ++r) {
    std::vector<index_t> counts(4);
    for (int i = 0; i < 12; ++i) ++counts[draw(generator)];
    const double found = infalign::majority_at_k(counts, 0, 5);
    sum += found;
    squares += found * found;
  }
  const double mean = sum / data_sets;
  CHECK(std::abs(mean - exact) <= 4 * std::sqrt((squares / data_sets - mean * mean) / data_sets));
}

TEST_CASE("cons@k is the mean over all subsets") {
  constexpr unsigned samples = 9;
  for (index_t right = 0; right <= 9; ++right)
    for (index_t k = 1; k <= 9; ++k)
      for (index_t needed = 1; needed <= k; ++needed) {
        double held = 0, subsets = 0;
        for (unsigned mask = 0; mask < (1u << samples); ++mask) {
          if (std::popcount(mask) != k) continue;
          held += std::popcount(mask & ((1u << right) - 1)) >= needed ? 1 : 0;
          ++subsets;
        }
        CHECK(std::abs(infalign::consensus_at_k(9, right, k, needed) - held / subsets) <= 1e-12);
      }
}

TEST_CASE("cons@k: one of k is pass@k, all of k the rest, and a thousand samples are no trouble") {
  for (index_t k = 1; k <= 10; ++k) {
    CHECK(std::abs(infalign::consensus_at_k(10, 3, k, 1) - infalign::pass_at_k(10, 3, k)) <= 1e-13);
    CHECK(std::abs(infalign::consensus_at_k(10, 7, k, k) - (1 - infalign::pass_at_k(10, 3, k))) <= 1e-13);
  }
  CHECK(std::abs(infalign::consensus_at_k(4, 2, 3, 2) - 0.5) <= 1e-14);  // 2 of 4 subsets of three hold both
  const double far = infalign::majority_at_k(std::vector<index_t>{600, 400}, 0, 101);
  CHECK(std::abs(far - infalign::consensus_at_k(1000, 600, 101, 51)) <= 1e-9);
}

TEST_CASE("the KL of best-of-N: by enumeration, the bound without ties, the estimate between") {
  const std::vector<double> p{0.1, 0.2, 0.3, 0.25, 0.15}, r{2, 1, 1, 5, 4};
  for (const int n : {1, 2, 3, 4}) {
    std::vector<double> served(p.size());
    int all = 1;
    for (int i = 0; i < n; ++i) all *= 5;
    for (int code = 0; code < all; ++code) {
      double probability = 1, best = -1, tied = 0;
      std::vector<std::size_t> drawn;
      for (int i = 0, rest = code; i < n; ++i, rest /= 5) drawn.push_back(static_cast<std::size_t>(rest % 5));
      for (const std::size_t y : drawn) probability *= p[y], best = r[y] > best ? r[y] : best;
      for (const std::size_t y : drawn) tied += r[y] == best ? 1 : 0;
      for (const std::size_t y : drawn) served[y] += r[y] == best ? probability / tied : 0;
    }
    double exact = 0;
    for (std::size_t y = 0; y < p.size(); ++y) exact += served[y] * std::log(served[y] / p[y]);
    CHECK(std::abs(infalign::best_of_kl(n, p, r) - exact) <= 1e-13);
    CHECK(infalign::best_of_kl(n, p, r) <= infalign::best_of_kl_bound(n) + 1e-15);
  }
  const index_t many = 20'000;
  std::vector<double> even(static_cast<std::size_t>(many), 1.0 / many), reward;
  for (index_t i = 0; i < many; ++i) reward.push_back(static_cast<double>(i));
  CHECK(std::abs(infalign::best_of_kl(16, even, reward) - infalign::best_of_kl_bound(16)) <= 16.0 / many);
  CHECK(std::abs(infalign::best_of_kl_estimate(16, 1.0 / many) - infalign::best_of_kl_bound(16)) <= 16 * 16.0 / many);
  CHECK(infalign::best_of_kl_estimate(16, 0) == infalign::best_of_kl_bound(16));
  CHECK(infalign::best_of_kl_estimate(16, 1) == 0);
  // Two responses: the better one has probability ε, and the estimate at it, weighted by what is served, stays below the bound.
  for (const double e : {0.01, 0.1, 0.5, 0.9}) {
    const std::vector<double> two{1 - e, e}, better{0, 1};
    CHECK(infalign::best_of_kl(8, two, better) <= infalign::best_of_kl_bound(8));
    const double estimate = infalign::best_of_kl_estimate(8, e);
    CHECK(estimate <= infalign::best_of_kl_bound(8));
    CHECK(estimate >= infalign::best_of_kl(8, two, better) - 0.7);
  }
}

// Policies of two tokens at two positions each; responses sampled from the first.
TEST_CASE("the KL of responses: all estimates within 4 standard errors, and the exact one has the smallest error") {
  const double own[2] = {0.7, 0.4}, base[2] = {0.5, 0.5};
  const auto kl = [](double p, double q) { return p * std::log(p / q) + (1 - p) * std::log((1 - p) / (1 - q)); };
  std::mt19937_64 generator(11);
  std::vector<double> logs, base_logs, kls;
  std::vector<index_t> offsets{0}, prompts;
  // The second token is drawn only if the first is 0, with another probability: lengths differ, and so do the token KLs.
  for (index_t s = 0; s < 4000; ++s) {
    const auto uniform = [&] { return static_cast<double>(generator() >> 11) * 0x1.0p-53; };
    for (int t = 0; t < 2; ++t) {
      const bool one = uniform() < own[t];
      logs.push_back(std::log(one ? own[t] : 1 - own[t]));
      base_logs.push_back(std::log(one ? base[t] : 1 - base[t]));
      kls.push_back(kl(own[t], base[t]));
      if (one) break;
    }
    offsets.push_back(static_cast<index_t>(logs.size()));
    prompts.push_back(s / 4);
  }
  const infalign::ragged<const double> a(logs, offsets), b(base_logs, offsets), c(kls, offsets);
  const auto found = infalign::sequence_kl(a, b, c, prompts);
  const double exact = kl(0.7, 0.5) + 0.3 * kl(0.4, 0.5);
  for (const estimate* e : {&found.k1, &found.k3, &found.rao_blackwell}) {
    CHECK(std::abs(e->value - exact) <= 4 * e->standard_error);
    CHECK(e->count == 1000);
  }
  CHECK(found.rao_blackwell.standard_error < 0.2 * found.k1.standard_error);
  CHECK(found.k3.standard_error < found.k1.standard_error);
  CHECK(std::abs(found.k2.value - exact) <= 0.02 + 4 * found.k2.standard_error);  // ∓E d³/6
  CHECK(infalign::sequence_kl(a, b).rao_blackwell.count == 0);
}

// Responses of up to three tokens, the third kind of which ends one: every response, weighted by its probability.
TEST_CASE("the KL of responses: expectations over all responses") {
  const double own[] = {0.6, 0.1, 0.3}, base[] = {0.2, 0.5, 0.3};
  const double token = own[0] * std::log(own[0] / base[0]) + own[1] * std::log(own[1] / base[1]);
  double k1 = 0, k2 = 0, k3 = 0, exact = 0, all = 0, kl = 0, squares = 0;
  for (int code = 0; code < 27; ++code) {
    const int drawn[] = {code / 9, code / 3 % 3, code % 3};
    if ((drawn[0] == 2 && code % 9 != 0) || (drawn[1] == 2 && code % 3 != 0)) continue;  // what comes after the end
    std::vector<double> logs, base_logs, kls;
    double p = 1, q = 1;
    for (const int a : drawn) {
      p *= own[a], q *= base[a];
      logs.push_back(std::log(own[a])), base_logs.push_back(std::log(base[a])), kls.push_back(token);
      if (a == 2) break;
    }
    const std::vector<index_t> offsets{0, static_cast<index_t>(logs.size())};
    const infalign::ragged<const double> x(logs, offsets), y(base_logs, offsets), z(kls, offsets);
    const auto found = infalign::sequence_kl(x, y, z);
    k1 += p * found.k1.value, k2 += p * found.k2.value, k3 += p * found.k3.value, exact += p * found.rao_blackwell.value;
    all += p, kl += p * std::log(p / q), squares += 0.5 * p * std::log(p / q) * std::log(p / q);
  }
  CHECK(std::abs(all - 1) <= 1e-15);
  for (const double found : {k1, k3, exact}) CHECK(std::abs(found - kl) <= 1e-12);
  CHECK(std::abs(k2 - squares) <= 1e-12);
  CHECK(std::abs(k2 - kl) > 0.1);  // which is not the KL
}

TEST_CASE("what is no KL is refused, and an impossible token is infinitely far") {
  const std::vector<index_t> offsets{0, 1}, none{0, 0};
  const std::vector<double> a{-1}, zero{-infalign::infinity<double>}, bad{0.5};
  const auto view = [&](const std::vector<double>& of) { return infalign::ragged<const double>(of, offsets); };
  CHECK(infalign::sequence_kl(view(a), view(zero)).k1.value == infalign::infinity<double>);
  const auto message = [](auto&& call) { return test::message_of<infalign::error>(call); };
  CHECK(message([&] { (void)infalign::sequence_kl(view(zero), view(a)); }) ==
        "sequence_kl: log_probs[0][0] is -inf, must be finite and not positive");
  CHECK(message([&] { (void)infalign::sequence_kl(view(a), view(bad)); }) ==
        "sequence_kl: base_log_probs[0][0] is 0.5, must not be positive or NaN");
  CHECK(message([&] { (void)infalign::sequence_kl(view(a), view(a), view(a)); }) ==
        "sequence_kl: token_kls[0][0] is -1, must not be negative or NaN");
  CHECK(message([&] { (void)infalign::sequence_kl(view(a), infalign::ragged<const double>({}, none)); }) ==
        "sequence_kl: base_log_probs[0] has 0 values, log_probs[0] has 1");
  const std::vector<double> p{0.5, 0.25}, r{0, 1};
  CHECK(message([&] { (void)infalign::best_of_kl(2, p, r); }) == "best_of_kl: probabilities sum to 0.75, must be 1");
  CHECK(message([&] { (void)infalign::best_of_kl_estimate(2, 1.5); }) ==
        "best_of_kl_estimate: probability is 1.5, must be in [0, 1]");
  CHECK(message([&] {
          (void)infalign::majority_at_k(std::vector<index_t>{1, 2}, 2, 1);
        }) == "majority_at_k: correct is 2, must be a position of counts, or -1 where no answer is right");
  CHECK(message([&] {
          (void)infalign::majority_at_k(std::vector<index_t>{1, 2}, 0, 4);
        }) == "majority_at_k: k is 4, must be in 1 … 3, the number of samples");
  CHECK(message([&] { (void)infalign::consensus_at_k(4, 2, 3, 4); }) == "consensus_at_k: needed is 4, must be in 1 … k = 3");
}

// Published pitfall (verl #7240): best@N by drawing N of the samples with replacement. One right of four: best-of-4 is right whenever
// all four are drawn, which is always; drawn with replacement it is 1 - (3/4)^4 = 0.684.
TEST_CASE("best-of-N by resampling with replacement is biased, for one right of four by 0.316") {
  CHECK(infalign::pass_at_k(4, 1, 4) == 1);
  int right = 0;
  for (int code = 0; code < 256; ++code) {  // all ways to draw four
    bool found = false;
    for (int i = 0, rest = code; i < 4; ++i, rest /= 4) found = found || rest % 4 == 0;
    right += found ? 1 : 0;
  }
  CHECK(right / 256.0 == 1 - std::pow(0.75, 4));
  CHECK(std::abs(right / 256.0 - 0.684) <= 5e-4);
  // Over data sets, eight samples a prompt that are right at a rate of 1/10: best-of-8 is right in 0.570; with replacement 0.422 are
  // reported, and pass@8 is 0.570.
  double drawn = 0, unbiased = 0;
  for (index_t c = 0; c <= 8; ++c) {
    const double share = static_cast<double>(c) / 8;
    const double binomial =
        std::exp(std::lgamma(9.0) - std::lgamma(static_cast<double>(c) + 1) - std::lgamma(9.0 - static_cast<double>(c))) *
        std::pow(0.1, c) * std::pow(0.9, 8 - c);
    drawn += binomial * (1 - std::pow(1 - share, 8));
    unbiased += binomial * infalign::pass_at_k(8, c, 8);
  }
  CHECK(std::abs(unbiased - (1 - std::pow(0.9, 8))) <= 1e-12);
  CHECK(std::abs(drawn - 0.422) <= 5e-4);
}
