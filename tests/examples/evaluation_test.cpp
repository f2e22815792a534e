// SPDX-License-Identifier: Apache-2.0
// What the main job measures of a policy, against the definitions of KL and win rate.

#include "evaluation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "support/samples.hpp"

namespace {

using model = align::language_model<float>;

/// A model whose every parameter is moved by up to `size`: as far from another as one likes.
model moved(const model& from, double size, std::uint64_t seed) {
  align::random_stream random(seed);
  model to = from;
  for (float& p : to.parameters()) p += static_cast<float>(size * (random.uniform() - 0.5));
  return to;
}

align::word random_prefix(align::random_stream& random) {
  align::word w;
  for (int i = 0; i < align::prompt_length; ++i) w.append(static_cast<int>(random.below(align::n_letters)));
  return w;
}

/// log of the probability of every next token, from a context alone.
std::vector<double> log_probabilities(const model& of, const align::word& context) {
  align::activations<float> at;
  at.reserve(1);
  at.features[0] = align::context_features(context);
  of.forward(at, 0, 1);
  double sum = 0;
  for (int a = 0; a < align::vocabulary; ++a) sum += std::exp(static_cast<double>(at.logits(a, 0)));
  std::vector<double> found;
  for (int a = 0; a < align::vocabulary; ++a) found.push_back(static_cast<double>(at.logits(a, 0)) - std::log(sum));
  return found;
}

/// Calls `use(context, token)` for every token that was chosen on the way to a word; at the greatest length none ends it.
template <class Use>
void for_each_choice(const align::word& w, const Use& use) {
  for (int n = align::prompt_length; n < w.length; ++n) use(w.prefix(n), w[n]);
  if (!w.full()) use(w, align::end_of_word);
}

struct mean_and_error {
  double mean;
  double error;
};
mean_and_error mean_of(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / n;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return {mean, std::sqrt(squares / (n - 1) / n)};
}

/// Prompts with an untrained base policy and a reward that likes the letter `a`.
align::scenario some_scenario(std::size_t prompts, std::size_t per_prompt) {
  align::random_stream random(3);
  align::scenario from{{}, model(random), {}, {}, {}, {}};
  for (std::size_t p = 0; p < prompts; ++p) from.prompts.held_out.push_back({random_prefix(random), {}});
  align::word a;
  a.append(0);
  const align::ngram_features features(a);  // of the letter and its neighbourhood of marks
  for (int i = 0; i < features.count; ++i) from.reward.weights()[features.bucket[static_cast<std::size_t>(i)]] = 1;
  // A little of everything else, so that rewards differ.
  for (float& w : from.reward.weights()) w += static_cast<float>(0.2 * (random.uniform() - 0.5));
  from.evaluation = align::sample_rewards(from.base, from.reward, from.prompts.held_out, per_prompt, random.child(1));
  return from;
}

/// The mean over all pairs of subsets of four, or of one: who serves the better response, ties counting ½.
double win_rate_by_subsets(const std::vector<float>& policy, const std::vector<float>& base, int size, bool best) {
  const auto served = [&](const std::vector<float>& rewards) {
    std::vector<float> found;
    for (unsigned set = 0; set < 1u << rewards.size(); ++set) {
      std::vector<float> chosen;
      for (std::size_t i = 0; i < rewards.size(); ++i)
        if ((set >> i & 1u) != 0) chosen.push_back(rewards[i]);
      if (static_cast<int>(chosen.size()) != size) continue;
      found.push_back(best ? *std::max_element(chosen.begin(), chosen.end()) : *std::min_element(chosen.begin(), chosen.end()));
    }
    return found;
  };
  const std::vector<float> ours = served(policy), theirs = served(base);
  double sum = 0;
  for (const float y : ours)
    for (const float z : theirs) sum += y > z ? 1 : y == z ? 0.5 : 0;
  return sum / static_cast<double>(ours.size() * theirs.size());
}

}  // namespace

TEST_CASE("the KL of a rollout is the sum over its choices of the KL between next-token distributions") {
  align::random_stream random(1);
  const model base(random), policy = moved(base, 0.5, 2);
  align::sampler sample;
  align::rollouts drawn;
  std::vector<align::word> prefixes;
  for (int i = 0; i < 40; ++i) prefixes.push_back(random_prefix(random));
  sample(policy, prefixes, random, drawn);
  infalign::scalar on;
  align::activations<float> base_at;
  const std::vector<double> found = align::rollout_kl(on, drawn, base, base_at);
  REQUIRE(found.size() == prefixes.size());
  for (std::size_t r = 0; r < found.size(); ++r) {
    double expected = 0;
    int choices = 0;
    for_each_choice(drawn.words[r], [&](const align::word& context, int) {
      const std::vector<double> p = log_probabilities(policy, context), q = log_probabilities(base, context);
      for (std::size_t a = 0; a < p.size(); ++a) expected += std::exp(p[a]) * (p[a] - q[a]);
      ++choices;
    });
    CHECK(expected > 0.01);
    // Logits of a size up to 4 in float, in another order of summation: each choice is right to some of their roundings.
    CHECK(std::abs(found[r] - expected) <= choices * 32 * 4 * 0x1p-24);
  }
}

TEST_CASE("a policy has no KL to itself") {
  align::random_stream random(4);
  const model base(random);
  align::sampler sample;
  align::rollouts drawn;
  sample(base, std::vector<align::word>(20, random_prefix(random)), random, drawn);
  infalign::scalar on;
  align::activations<float> base_at;
  for (const double kl : align::rollout_kl(on, drawn, base, base_at)) CHECK(std::abs(kl) <= 12 * 32 * 4 * 0x1p-24);
}

TEST_CASE("win rates of every prompt are means over all pairs of subsets, in the order of their names") {
  const std::vector<float> policy[] = {{0.5f, 2, -1, 2, 0.25f, 1}, {1, 1, 0, 3, -2, 5}};
  const std::vector<float> base[] = {{0, 1, 2, -1, 0.5f, 0.5f}, {1, 4, -3, 0, 0, 2}};
  align::reward_table ours{{}, 6}, theirs{{}, 6};
  for (std::size_t p = 0; p < 2; ++p) {
    ours.values.insert(ours.values.end(), policy[p].begin(), policy[p].end());
    theirs.values.insert(theirs.values.end(), base[p].begin(), base[p].end());
  }
  infalign::scalar on;
  align::evaluation found;
  align::win_rates(on, ours, theirs, found);
  const auto check = [&](const char* name, int size, bool best) {
    const auto i =
        static_cast<std::size_t>(std::find(align::procedure_names.begin(), align::procedure_names.end(), std::string(name)) -
                                 align::procedure_names.begin());
    REQUIRE(i < align::n_procedures);
    for (std::size_t p = 0; p < 2; ++p)
      CHECK(found.win_rate[i][p] == doctest::Approx(win_rate_by_subsets(policy[p], base[p], size, best)).epsilon(1e-14));
  };
  check("standard", 1, true);
  check("best_of_4", 4, true);
  check("worst_of_4", 4, false);
}

TEST_CASE("an evaluated policy: its KL is the mean log-ratio of fresh samples") {
  constexpr std::size_t per_prompt = 16;
  const align::scenario from = some_scenario(40, per_prompt);
  const model policy = moved(from.base, 0.3, 6);
  infalign::scalar on;
  const align::evaluation found = align::evaluate(on, policy, from, align::random_stream(7));
  REQUIRE(found.kl.size() == 40);
  // Both are means over the same prompts of what has the same expectation: sums of KLs along the rollouts, and log-ratios of
  // others. Paired by prompt, so that prompts may differ.
  align::sampler sample;
  align::rollouts drawn;
  align::random_stream random(8);
  const auto& prompts = from.prompts.held_out;
  sample(policy, align::repeat_prefixes(prompts.begin(), prompts.end(), per_prompt), random, drawn);
  std::vector<double> difference = found.kl;
  for (std::size_t r = 0; r < drawn.words.size(); ++r)
    for_each_choice(drawn.words[r], [&](const align::word& context, int token) {
      const auto t = static_cast<std::size_t>(token);
      difference[r / per_prompt] -=
          (log_probabilities(policy, context)[t] - log_probabilities(from.base, context)[t]) / per_prompt;
    });
  const auto [mean, error] = mean_of(difference);
  CHECK(std::abs(mean) <= 4 * error);
  CHECK(mean_of(found.kl).mean > 10 * error);
}

TEST_CASE("the base policy, evaluated, has no KL and wins half") {
  const align::scenario from = some_scenario(60, 16);
  infalign::scalar on;
  const align::evaluation found = align::evaluate(on, from.base, from, align::random_stream(9));
  for (const double kl : found.kl) CHECK(std::abs(kl) <= 12 * 32 * 4 * 0x1p-24);
  for (const std::vector<double>& wins : found.win_rate) {
    REQUIRE(wins.size() == 60);
    const auto [mean, error] = mean_of(wins);
    CHECK(std::abs(mean - 0.5) <= 4 * error);
    CHECK(error > 0);
  }
}

TEST_CASE("a policy that writes what the reward likes wins, against the samples of the base") {
  const align::scenario from = some_scenario(30, 16);
  model policy = from.base;
  // The direct table, below the embeddings: 3 more on the logit of the letter a, whatever the first letter of the prompt.
  constexpr align::Index table_rows = align::hidden_units + align::logit_columns;
  for (align::Index first_letter = 0; first_letter < align::n_letters; ++first_letter)
    policy.parameters()[first_letter * table_rows + align::hidden_units] += 3;
  infalign::scalar on;
  const align::evaluation found = align::evaluate(on, policy, from, align::random_stream(10));
  for (const std::vector<double>& wins : found.win_rate) CHECK(mean_of(wins).mean > 0.9);
  CHECK(mean_of(found.kl).mean > 1);
}
