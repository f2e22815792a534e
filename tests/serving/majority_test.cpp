// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <infalign/serving.hpp>
#include <optional>
#include <vector>

#include "infalign/evaluation/answers.hpp"
#include "serving/finite_policy.hpp"

using namespace infalign;

namespace {

constexpr index_t voting_prompts = test::draws(40'000);

index_t same(index_t y) {
  return y;
}

/// Probabilities that each answer wins, over all sequences of n draws, ties at random. Answers for which `votes` is false do not count.
template <class Votes>
std::vector<double> enumerated_votes(const std::vector<double>& probabilities, index_t n, const Votes& votes) {
  std::vector<double> result(probabilities.size(), 0.0);
  test::for_each_draw(probabilities, n, [&](const std::vector<index_t>& y, double p) {
    std::vector<index_t> counts(probabilities.size(), 0);
    for (const index_t i : y)
      if (votes(i)) ++counts[static_cast<std::size_t>(i)];
    const index_t most = *std::max_element(counts.begin(), counts.end());
    if (most == 0) return static_cast<void>(result[static_cast<std::size_t>(y.front())] += p);
    const auto tied = static_cast<double>(std::count(counts.begin(), counts.end(), most));
    for (std::size_t i = 0; i < counts.size(); ++i)
      if (counts[i] == most) result[i] += p / tied;
  });
  return result;
}

}  // namespace

TEST_CASE("majority voting against enumeration of all votes, ties at random") {
  const std::vector<double> probabilities{0.35, 0.25, 0.3, 0.1};
  for (const index_t n : {1, 2, 3, 4, 6}) {
    CAPTURE(n);
    const auto all = [](index_t) { return true; };
    const auto expected = enumerated_votes(probabilities, n, all);
    const auto result = serve_majority(majority_of(n), test::finite_policy{probabilities}, same, voting_prompts, {.seed = 2});
    test::check_shares(result, expected);
    CHECK(result.scorer_calls == 0);
    CHECK(result.cost.scores == 0);
    CHECK(result.cost.samples <= n * voting_prompts);
    // Who stops early serves what all the votes would.
    const auto whole =
        serve_majority(majority_of(n), test::finite_policy{probabilities}, same, voting_prompts, {.seed = 2, .at_once = n});
    CHECK(whole.cost.samples == n * voting_prompts);
    for (std::size_t p = 0; p < whole.prompts.size(); ++p)
      if (whole.prompts[p].response != result.prompts[p].response || whole.prompts[p].attempt != result.prompts[p].attempt)
        FAIL("prompt ", p);
  }
}

TEST_CASE("majority voting: who has no answer does not vote") {
  const std::vector<double> probabilities{0.5, 0.2, 0.3};
  const auto answer = [](index_t y) { return y == 0 ? std::optional<index_t>() : std::optional<index_t>(y); };
  const auto expected = enumerated_votes(probabilities, 4, [](index_t y) { return y != 0; });
  const auto result = serve_majority(majority_of(4), test::finite_policy{probabilities}, answer, voting_prompts, {.seed = 3});
  test::check_shares(result, expected);
  for (const auto& prompt : result.prompts)
    if ((prompt.response == 0) != (prompt.score == 0)) FAIL("a response without an answer has no votes, others have");
}

TEST_CASE("majority voting from a fixed list of samples: stops when nothing can change, serves the first of the winner") {
  // Answers a b b b …: after the fourth of five samples b leads by 2, which is more than the one left.
  const std::vector<index_t> list{0, 1, 1, 1, 2};
  const auto model = [&](span<const sample_request> requests) {
    std::vector<index_t> responses;
    for (const auto& r : requests) responses.push_back(list[static_cast<std::size_t>(r.attempt)]);
    return responses;
  };
  const auto result = serve_majority(majority_of(5), model, same, 1);
  CHECK(result.prompts[0].response == 1);
  CHECK(result.prompts[0].attempt == 1);
  CHECK(result.prompts[0].cost.samples == 4);
  CHECK(result.prompts[0].score == 0.75);
  // All at once: the fifth is paid for and not counted.
  const auto whole = serve_majority(majority_of(5), model, same, 1, {.at_once = 5});
  CHECK(whole.prompts[0].score == 0.75);
  CHECK(whole.cost.samples == 5);
}

TEST_CASE("majority voting: nobody is ahead by more than is left; a tie of the same votes is broken at random") {
  const auto listed = [](std::vector<index_t> list) {
    return [list](span<const sample_request> requests) {
      std::vector<index_t> responses;
      for (const auto& r : requests) responses.push_back(list[static_cast<std::size_t>(r.attempt)]);
      return responses;
    };
  };
  const index_t prompts = 2000;
  // What is ahead by 2 with 2 left may still be drawn level with; so may the first of three.
  for (const std::vector<index_t>& list : {std::vector<index_t>{0, 0, 1, 1}, std::vector<index_t>{0, 0, 1, 1, 1, 2, 0}}) {
    const auto n = static_cast<index_t>(list.size());
    const auto result = serve_majority(majority_of(n), listed(list), same, prompts, {.seed = 6});
    CHECK(result.cost.samples == n * prompts);
    const auto zeros =
        std::count_if(result.prompts.begin(), result.prompts.end(), [](const auto& p) { return p.response == 0; });
    CHECK(test::is_share(static_cast<double>(zeros) / prompts, 0.5, prompts));
  }
  const auto none = [](index_t) { return std::optional<index_t>(); };
  const auto silent = serve_majority(majority_of(3), listed({4, 5, 6}), none, 1);
  CHECK(silent.prompts[0].response == 4);
  CHECK(silent.prompts[0].score == 0);
  CHECK(silent.prompts[0].cost.samples == 3);
}

TEST_CASE("majority voting by drawing from a pool is majority_at_k in the limit") {
  // A pool of so many samples that drawing without replacement is drawing with it, to 1e-4.
  const index_t pool = 1'000'000, correct[3] = {pool / 2, pool * 3 / 10, pool / 5};
  const double exact = majority_at_k(correct, 0, 5);
  const auto result = serve_majority(majority_of(5), test::finite_policy{{0.5, 0.3, 0.2}}, same, voting_prompts, {.seed = 4});
  const auto right = std::count_if(result.prompts.begin(), result.prompts.end(), [](const auto& p) { return p.response == 0; });
  CHECK(test::is_share(static_cast<double>(right) / voting_prompts, exact, voting_prompts));
}
