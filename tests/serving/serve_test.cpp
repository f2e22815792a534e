// SPDX-License-Identifier: Apache-2.0
/// What is served, by literal play on batched models, against the distortions and against enumeration of all draws.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <infalign/serving.hpp>
#include <infalign/theory.hpp>
#include <infalign/transform/logarithm.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "serving/finite_policy.hpp"

using namespace infalign;

namespace {

/// The median of three, as a caller writes it.
struct middle_of_three {};

}  // namespace

template <class Response>
struct infalign::serving_rule<middle_of_three, Response> {
  static constexpr bool stops_early = false;
  serving_rule(const middle_of_three&, index_t, const prompt_random&) {}
  [[nodiscard]] static index_t most() { return 3; }
  bool take(scored_response<Response>&& next) {
    drawn.push_back(std::move(next));
    return false;
  }
  scored_response<Response> choose() {
    std::sort(drawn.begin(), drawn.end(), [](const auto& a, const auto& b) { return a.score < b.score; });
    return std::move(drawn[1]);
  }
  std::vector<scored_response<Response>> drawn;
};

namespace {

constexpr index_t served_prompts = test::draws(40'000);

/// Calls `check` with every procedure that is a distortion.
template <class Check>
void for_each_distortion(Check&& check) {
  check(standard());
  check(best_of(1));
  check(best_of(4));
  check(worst_of(3));
  check(order_statistic(2, 5));
  check(order_statistic(5, 5));
  check(top_of(2, 5));
  check(best_of_poisson(0));
  check(best_of_poisson(2.5));
  check(best_of_random({{1, 0.25}, {3, 0.5}, {6, 0.25}}));
}

/// Probabilities of what is served, by all sequences of n draws: `share(y, i)` is the probability that draw i of y is served.
template <class Share>
std::vector<double> enumerated(const std::vector<double>& probabilities, index_t n, const Share& share) {
  std::vector<double> result(probabilities.size(), 0.0);
  test::for_each_draw(probabilities, n, [&](const std::vector<index_t>& y, double p) {
    for (std::size_t i = 0; i < y.size(); ++i) result[static_cast<std::size_t>(y[i])] += p * share(y, i);
  });
  return result;
}

const std::vector<double> policy_probabilities{0.3, 0.1, 0.4, 0.2};
const std::vector<double> policy_rewards{0.2, 1.5, -0.3, 0.8};

}  // namespace

TEST_CASE("what a procedure serves has the CDF G(F), without ties and with them") {
  const test::finite_policy tied{{0.2, 0.5, 0.3}};
  for_each_distortion([&](const auto& procedure) {
    CAPTURE(procedure.name());
    const auto result = serve(procedure, test::uniform_policy, test::own_reward, served_prompts, {.seed = 3});
    const auto levels = serve(procedure, tied, test::finite_reward{{0, 1, 2}}, served_prompts, {.seed = 4});
    for (const double q : {0.1, 0.3, 0.5, 0.7, 0.9}) {
      const auto below =
          std::count_if(result.prompts.begin(), result.prompts.end(), [&](const auto& p) { return p.score <= q; });
      CHECK(test::is_share(static_cast<double>(below) / served_prompts, procedure.distortion(q), served_prompts));
    }
    const double at_0 = procedure.distortion(0.2), at_1 = procedure.distortion(0.7);
    test::check_shares(levels, {at_0, at_1 - at_0, 1 - at_1});
  });
}

TEST_CASE("the win rate of two procedures that run is that of the theory") {
  const matchup played(best_of(4), worst_of(2));
  // A policy of density 4u³ against a uniform base.
  const auto policy = [](span<const sample_request> requests) {
    std::vector<double> responses = test::uniform_policy(requests);
    for (double& r : responses) r = std::pow(r, 0.25);
    return responses;
  };
  const auto ours = serve(best_of(4), policy, test::own_reward, served_prompts, {.seed = 1});
  const auto theirs = serve(worst_of(2), test::uniform_policy, test::own_reward, served_prompts, {.seed = 2});
  double wins = 0;
  for (std::size_t p = 0; p < ours.prompts.size(); ++p) wins += ours.prompts[p].score > theirs.prompts[p].score ? 1 : 0;
  // 1 - ∫ u^16·2(1 - u) du
  CHECK(test::is_share(wins / served_prompts, 1 - 2.0 / 17 + 2.0 / 18, served_prompts));
  CHECK(tilted_density(logarithm(), kl_weight(1.0 / 3)).win_rate(played) == doctest::Approx(1 - 2.0 / 17 + 2.0 / 18));
}

TEST_CASE("soft best-of-N is the softmax over all draws") {
  for (const double lambda : {0.1, 0.5, 3.0, 1e9}) {
    CAPTURE(lambda);
    const auto expected = enumerated(policy_probabilities, 3, [&](const std::vector<index_t>& y, std::size_t i) {
      double sum = 0;
      for (const index_t j : y)
        sum +=
            std::exp((policy_rewards[static_cast<std::size_t>(j)] - policy_rewards[static_cast<std::size_t>(y[i])]) / lambda);
      return 1 / sum;
    });
    const auto result = serve(soft_best_of(3, lambda), test::finite_policy{policy_probabilities},
                              test::finite_reward{policy_rewards}, served_prompts, {.seed = 5});
    test::check_shares(result, expected);
    CHECK(result.cost == serving_cost{3 * served_prompts, 3 * served_prompts, 3 * served_prompts});
  }
  // λ so small that v/λ overflows: the best.
  const auto best = serve(soft_best_of(6, 1e-310), test::finite_policy{policy_probabilities},
                          test::finite_reward{policy_rewards}, 200, {.seed = 6});
  const auto hard =
      serve(best_of(6), test::finite_policy{policy_probabilities}, test::finite_reward{policy_rewards}, 200, {.seed = 6});
  for (std::size_t p = 0; p < best.prompts.size(); ++p) CHECK(best.prompts[p].response == hard.prompts[p].response);
}

TEST_CASE("rewind-and-repeat serves the first that passes, else the last or the best") {
  const double threshold = 0.2;  // which response 0 has: it does not pass
  const auto passes = [&](index_t y) { return policy_rewards[static_cast<std::size_t>(y)] > threshold; };
  for (const unpassed otherwise : {unpassed::last, unpassed::best}) {
    double draws = 0;
    const auto expected = enumerated(policy_probabilities, 3, [&](const std::vector<index_t>& y, std::size_t i) {
      const auto first = static_cast<std::size_t>(std::find_if(y.begin(), y.end(), passes) - y.begin());
      if (first < 3) return i == first ? 1.0 : 0.0;
      if (otherwise == unpassed::last) return i == 2 ? 1.0 : 0.0;
      const bool best = std::none_of(y.begin(), y.end(), [&](index_t j) {
        return policy_rewards[static_cast<std::size_t>(j)] > policy_rewards[static_cast<std::size_t>(y[i])];
      });
      return best && std::find(y.begin(), y.end(), y[i]) - y.begin() == static_cast<std::ptrdiff_t>(i) ? 1.0 : 0.0;
    });
    test::for_each_draw(policy_probabilities, 3, [&](const std::vector<index_t>& y, double p) {
      draws += p * static_cast<double>(std::min<std::ptrdiff_t>(std::find_if(y.begin(), y.end(), passes) - y.begin() + 1, 3));
    });
    const auto result = serve(rewind_and_repeat(threshold, 3, otherwise), test::finite_policy{policy_probabilities},
                              test::finite_reward{policy_rewards}, served_prompts, {.seed = 7});
    test::check_shares(result, expected);
    // One draw to three: the standard deviation is at most 1.
    CHECK(std::abs(static_cast<double>(result.cost.samples) / served_prompts - draws) <= 4 / std::sqrt(1.0 * served_prompts));
    CHECK(result.sampler_calls == 3);
  }
}

TEST_CASE("an attempt loop stops at the first sample that reaches the threshold, and counts what it drew") {
  // Prompt p gets scores p, p - 1, p - 2, …: 0 is reached by attempt p.
  const auto model = [](span<const sample_request> requests) {
    std::vector<std::string> responses;
    for (const auto& r : requests) responses.emplace_back(static_cast<std::size_t>(r.attempt + 1), 'x');
    return responses;
  };
  index_t calls = 0;
  const auto judge = [&](span<const sample_request> requests, span<const std::string> responses) {
    ++calls;
    CHECK(requests.size() == responses.size());
    std::vector<float> scores;
    for (const auto& r : requests) scores.push_back(static_cast<float>(r.prompt - r.attempt));
    return scores;
  };
  const auto result = serve(stopped_at(worst_of(4), 0), model, judge, 7);
  CHECK(result.sampler_calls == 4);
  CHECK(result.scorer_calls == 4);
  CHECK(calls == 4);
  index_t samples = 0, tokens = 0;
  for (index_t p = 0; p < 7; ++p) {
    const auto& prompt = result.prompts[static_cast<std::size_t>(p)];
    const index_t drawn = std::min<index_t>(p + 1, 4);
    CHECK(prompt.cost == serving_cost{drawn, drawn, drawn * (drawn + 1) / 2});
    CHECK(prompt.attempt == drawn - 1);
    CHECK(prompt.score == static_cast<double>(p - (drawn - 1)));
    CHECK(prompt.response.size() == static_cast<std::size_t>(drawn));
    samples += drawn, tokens += drawn * (drawn + 1) / 2;
  }
  CHECK(result.cost == serving_cost{samples, samples, tokens});
  // Three at once serve the same, and draw up to two in vain.
  const auto ahead = serve(stopped_at(worst_of(4), 0), model, judge, 7, {.at_once = 3});
  CHECK(ahead.sampler_calls == 2);
  CHECK(ahead.cost.samples == 3 * 3 + 4 * 4);
  for (std::size_t p = 0; p < 7; ++p) CHECK(ahead.prompts[p].attempt == result.prompts[p].attempt);
}

TEST_CASE("a prompt's result is the same in any order, in any batch, however many are drawn at once") {
  std::vector<std::uint64_t> numbers(50), reversed(50);
  std::iota(numbers.begin(), numbers.end(), 0u);
  std::reverse_copy(numbers.begin(), numbers.end(), reversed.begin());
  const auto check = [&](const auto& procedure) {
    const auto all = serve(procedure, test::uniform_policy, test::own_reward, 50, {.seed = 9});
    const auto again = serve(procedure, test::uniform_policy, test::own_reward, numbers, {.seed = 9, .at_once = 3});
    const auto turned = serve(procedure, test::uniform_policy, test::own_reward, reversed, {.seed = 9, .at_once = 1});
    const auto other = serve(procedure, test::uniform_policy, test::own_reward, 50, {.seed = 10});
    int differ = 0;
    for (std::size_t p = 0; p < 50; ++p) {
      CHECK(all.prompts[p].response == again.prompts[p].response);
      CHECK(all.prompts[p].response == turned.prompts[49 - p].response);
      CHECK(all.prompts[p].attempt == turned.prompts[49 - p].attempt);
      differ += all.prompts[p].response != other.prompts[p].response ? 1 : 0;
    }
    CHECK(differ == 50);
  };
  for_each_distortion(check);
  check(soft_best_of(5, 0.2));
  check(rewind_and_repeat(0.8, 6));
  check(rewind_and_repeat(0.95, 6, unpassed::best));
  check(stopped_at(best_of_poisson(3), 0.7));
}

TEST_CASE("procedures with a random number of samples draw as many as they should on average") {
  const auto mean_samples = [](const auto& procedure) {
    const auto result = serve(procedure, test::uniform_policy, test::own_reward, served_prompts, {.seed = 11});
    index_t samples = 0;
    for (const auto& prompt : result.prompts) samples += prompt.cost.samples;
    CHECK(samples == result.cost.samples);
    CHECK(result.sampler_calls == 1);
    return static_cast<double>(samples) / served_prompts;
  };
  CHECK(std::abs(mean_samples(best_of_poisson(2.5)) - 3.5) <= 4 * std::sqrt(2.5 / served_prompts));
  CHECK(std::abs(mean_samples(best_of_poisson(40)) - 41) <= 4 * std::sqrt(40.0 / served_prompts));
  // 1 and 5 with equal probability: mean 3, variance 4.
  CHECK(std::abs(mean_samples(best_of_random({{1, 0.5}, {5, 0.5}})) - 3) <= 4 * std::sqrt(4.0 / served_prompts));
  CHECK(mean_samples(best_of_poisson(0)) == 1);
  // Drawn until u >= 0.75, at most 3: 1 + 0.75 + 0.75² on average, with a variance below 1.
  const auto stopped =
      serve(stopped_at(best_of(3), 0.75), test::uniform_policy, test::own_reward, served_prompts, {.seed = 12});
  CHECK(std::abs(static_cast<double>(stopped.cost.samples) / served_prompts - 2.3125) <= 4 / std::sqrt(1.0 * served_prompts));
}

TEST_CASE("best-of-N and worst-of-N serve the first of those with equal scores; a rank goes by order then") {
  const auto model = [](span<const sample_request> requests) {
    std::vector<index_t> responses;
    for (const auto& r : requests) responses.push_back(r.attempt);
    return responses;
  };
  const auto reward = [](span<const sample_request>, span<const index_t> responses) {
    std::vector<double> scores;
    for (const index_t y : responses) scores.push_back(y % 2 == 0 ? 1 : 2);  // 1 2 1 2 1
    return scores;
  };
  const auto served_by = [&](const auto& procedure) { return serve(procedure, model, reward, 1).prompts[0].response; };
  CHECK(served_by(best_of(5)) == 1);
  CHECK(served_by(worst_of(5)) == 0);
  const index_t by_rank[5] = {0, 2, 4, 1, 3};
  for (index_t m = 1; m <= 5; ++m) CHECK(served_by(order_statistic(m, 5)) == by_rank[m - 1]);
  CHECK(served_by(rewind_and_repeat(2, 5, unpassed::best)) == 1);
  CHECK(served_by(rewind_and_repeat(2, 5)) == 4);
  CHECK(served_by(stopped_at(best_of(5), 2)) == 1);
  CHECK(serve(stopped_at(best_of(5), 2), model, reward, 1).cost.samples == 2);
}

TEST_CASE("a procedure of the caller's own") {
  const auto result = serve(middle_of_three{}, test::uniform_policy, test::own_reward, served_prompts, {.seed = 13});
  double below = 0;
  for (const auto& prompt : result.prompts) below += prompt.score <= 0.3 ? 1 : 0;
  CHECK(test::is_share(below / served_prompts, 0.3 * 0.3 * (3 - 0.6), served_prompts));
}

TEST_CASE("responses need neither copies nor a default") {
  struct only_moved {
    explicit only_moved(double v) : value(v) {}
    only_moved(only_moved&&) = default;
    only_moved& operator=(only_moved&&) = default;
    double value;
  };
  const auto model = [](span<const sample_request> requests) {
    std::vector<only_moved> responses;
    for (const auto& r : requests) responses.emplace_back(static_cast<double>(r.attempt));
    return responses;
  };
  const auto reward = [](span<const sample_request>, span<const only_moved> responses) {
    std::vector<double> scores;
    for (const auto& r : responses) scores.push_back(r.value);
    return scores;
  };
  CHECK(serve(best_of(3), model, reward, 2).prompts[1].response.value == 2);
  CHECK(serve(order_statistic(2, 3), model, reward, 2).prompts[1].response.value == 1);
  CHECK(serve(soft_best_of(3, 1e-3), model, reward, 2).prompts[1].response.value == 2);
  CHECK(serve(rewind_and_repeat(0.5, 3), model, reward, 2).prompts[1].response.value == 1);
}

TEST_CASE("no prompts: nothing is called") {
  const auto never = [](span<const sample_request>) -> std::vector<double> { throw 1; };
  const auto result = serve(best_of(3), never, test::own_reward, 0);
  CHECK(result.prompts.empty());
  CHECK(result.sampler_calls == 0);
  CHECK(serve(best_of(3), never, test::own_reward, std::vector<std::uint64_t>()).cost == serving_cost{});
}
