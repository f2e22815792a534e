// SPDX-License-Identifier: Apache-2.0
/// What a trainer logs, by brute force over the tokens.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "infalign/backend/scalar.hpp"
#include "infalign/objective/policy_summary.hpp"
#include "support/merge_trees.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::policy_summary;
using infalign::policy_tokens;
namespace test = infalign::test;

namespace {

struct token_values {
  std::vector<double> log_prob, old, advantages, kl, entropy, weights;
};

token_values tokens_at_random(index_t n) {
  token_values t{test::normal_values<double>(n, 1), test::normal_values<double>(n, 2), test::normal_values<double>(n, 3),
                 test::normal_values<double>(n, 4), test::normal_values<double>(n, 5), test::normal_values<double>(n, 6)};
  for (std::size_t i = 0; i < t.weights.size(); ++i) {
    t.weights[i] = i % 5 == 0 ? 0 : std::abs(t.weights[i]);
    t.old[i] = t.log_prob[i] + 0.3 * t.old[i];
    if (t.weights[i] == 0) t.log_prob[i] = t.old[i] = t.kl[i] = t.entropy[i] = std::numeric_limits<double>::quiet_NaN();
  }
  return t;
}

policy_tokens<double> view(const token_values& t, std::size_t begin, std::size_t end) {
  const auto part = [&](const std::vector<double>& v) {
    return infalign::span<const double>(v.data() + begin, static_cast<index_t>(end - begin));
  };
  return {part(t.log_prob), part(t.old), part(t.advantages), part(t.kl), part(t.entropy), part(t.weights)};
}

}  // namespace

TEST_CASE("a summary of tokens has the figures of their definitions, in one part or merged from many") {
  infalign::scalar on;
  for (const index_t n : {1, 2, 255, 256, 257, 3000}) {
    CAPTURE(n);
    const token_values t = tokens_at_random(n);
    const auto size = static_cast<std::size_t>(n);
    double weight = 0, low = 0, high = 0, k1 = 0, k3 = 0, kl = 0, entropy = 0, ratios = 0, squares = 0, smallest = 1e300,
           largest = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const double w = t.weights[i], r = std::exp(t.log_prob[i] - t.old[i]);
      if (w == 0) continue;
      weight += w;
      low += r < 0.9 && t.advantages[i] < 0 ? w : 0;
      high += r > 1.3 && t.advantages[i] > 0 ? w : 0;
      k1 += w * (t.old[i] - t.log_prob[i]);
      k3 += w * (r - 1 - std::log(r));
      kl += w * t.kl[i];
      entropy += w * t.entropy[i];
      ratios += w * r;
      squares += w * r * r;
      smallest = std::min(smallest, r);
      largest = std::max(largest, r);
    }
    const auto part = [&](std::size_t begin, std::size_t end) {
      return summarize_policy(on, view(t, std::min(size, begin), std::min(size, end)), {0.1, 0.3});
    };
    policy_summary merged;
    for (std::size_t begin = 0; begin < size; begin += 100) merged.merge(part(begin, begin + 100));
    if (weight == 0) {
      CHECK(merged.weight == 0);
      continue;
    }
    const auto check = [&](const policy_summary& s) {
      const auto near = [](double expected) { return doctest::Approx(expected).epsilon(1e-12); };
      CHECK(s.weight == near(weight));
      CHECK(s.clip_fraction_low() == near(low / weight));
      CHECK(s.clip_fraction_high() == near(high / weight));
      CHECK(s.clip_fraction() == near((low + high) / weight));
      CHECK(s.approximate_kl_k1() == near(k1 / weight));
      CHECK(s.approximate_kl_k3() == near(k3 / weight));
      CHECK(s.kl_mean() == near(kl / weight));
      CHECK(s.entropy_mean() == near(entropy / weight));
      CHECK(s.ratio_mean() == near(ratios / weight));
      CHECK(s.ratio_min() == near(smallest));
      CHECK(s.ratio_max() == near(largest));
      CHECK(s.effective_sample_size() == near(ratios * ratios / squares));
    };
    check(part(0, size));
    check(merged);
    // Four parts, of which the third has nothing and the second may have nothing.
    test::for_each_merge_tree(std::vector<policy_summary>{part(0, 2), part(2, 200), policy_summary{}, part(200, size)}, check);
  }
}

TEST_CASE("a summary on policy, with a ratio that overflows, and of nothing") {
  infalign::scalar on;
  const std::vector<float> log_prob{-1, -2, -0.5F, -3}, huge{-1, -1000, -0.5F, -3};
  const policy_summary same = summarize_policy(on, policy_tokens<float>{.log_prob = log_prob});
  CHECK(same.effective_share() == 1);
  CHECK(same.ratio_mean() == 1);
  CHECK(same.clip_fraction() == 0);
  CHECK(same.approximate_kl_k3() == 0);
  // One token has the ratio e^998: it is the whole effective sample.
  const policy_summary far = summarize_policy(on, policy_tokens<float>{.log_prob = log_prob, .old_log_prob = huge});
  CHECK(far.effective_sample_size() == 1);
  CHECK(far.clip_fraction_high() == 0.25);
  CHECK(far.approximate_kl_k1() == -249.5);
  CHECK(std::isfinite(far.approximate_kl_k3()));
  policy_summary both = far;
  both.merge(policy_summary{});
  CHECK(both.effective_sample_size() == 1);
  CHECK(both.ratio_min() == 1);
  const policy_summary none = summarize_policy(on, policy_tokens<float>{});
  CHECK(none.weight == 0);
  CHECK(none.effective_sample_size() == 0);
  // Tokens that a filtered sampler could not have drawn have the ratio 0, or infinity the other way round.
  const std::vector<float> masked(4, -infalign::infinity<float>);
  const policy_summary zero = summarize_policy(on, policy_tokens<float>{.log_prob = masked, .old_log_prob = log_prob});
  policy_summary twice = zero;
  twice.merge(zero);
  CHECK(zero.ratio_mean() == 0);
  CHECK(twice.ratio_mean() == 0);
  CHECK(twice.weight == 8);
  twice.merge(same);
  CHECK(twice.ratio_mean() == doctest::Approx(1.0 / 3).epsilon(1e-15));
  CHECK(twice.effective_sample_size() == 4);
  const std::vector<float> two(2, 1), negative{1, 1, -1, 1};
  CHECK(test::message_of<infalign::shape_error>([&] {
          summarize_policy(on, policy_tokens<float>{.log_prob = log_prob, .entropy = two});
        }) == "summarize_policy: entropy has 2 values, but log_prob has 4");
  CHECK(test::message_of<infalign::shape_error>([&] {
          summarize_policy(on, policy_tokens<float>{.log_prob = log_prob, .weights = two});
        }) == "summarize_policy: weights has 2 values, but log_prob has 4");
  CHECK(test::message_of<infalign::domain_error>([&] {
          summarize_policy(on, policy_tokens<float>{.log_prob = log_prob, .weights = negative});
        }) == "summarize_policy: weights[2] is -1, must be finite and not negative");
}
