// SPDX-License-Identifier: Apache-2.0
/// The optimal transform for soft best-of-N and rewind-and-repeat: brute force, limits, differences, and what happens when it is served.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <infalign/serving/any_served_procedure.hpp>
#include <infalign/theory.hpp>
#include <string>
#include <vector>

#include "serving/finite_policy.hpp"

using namespace infalign;

namespace {

optimal_transform optimum_for(const char* policy, const char* base, double beta) {
  return {matchup(parse_served_procedure(policy), parse_served_procedure(base)), kl_weight(beta)};
}

/// A density `f(u)` as a transform, whose optimum it is at β = 1.
struct log_of_density {
  const optimal_transform* of;
  double by, at;  ///< what is added: `by` times a bump around `at`
  template <class V>
  V operator()(V u) const {
    return of->log_density(u) + by * bump(u);
  }
  template <class V>
  V derivative(V u) const {
    constexpr double h = 1e-6;
    const double low = std::max(u - h, 0.0), high = std::min(u + h, 1.0);
    return of->derivative(u) / of->beta() + by * (bump(high) - bump(low)) / (high - low);
  }
  [[nodiscard]] std::string name() const { return "log_of_density"; }
  [[nodiscard]] double bump(double u) const { return std::exp(-50 * (u - at) * (u - at)); }
};

/// Wins of the optimum's policy over the uniform base, both served by `procedure`.
template <class Procedure>
double optimum_wins(const Procedure& procedure, const optimal_transform& optimum, index_t prompts) {
  const auto policy = [&](span<const sample_request> requests) {
    std::vector<double> responses = test::uniform_policy(requests);
    for (double& r : responses) r = optimum.quantile(r);
    return responses;
  };
  const auto ours = serve(procedure, policy, test::own_reward, prompts, {.seed = 31});
  const auto theirs = serve(procedure, test::uniform_policy, test::own_reward, prompts, {.seed = 32});
  double wins = 0;
  for (std::size_t p = 0; p < ours.prompts.size(); ++p) wins += ours.prompts[p].score > theirs.prompts[p].score ? 1 : 0;
  return wins / static_cast<double>(prompts);
}

}  // namespace

TEST_CASE("optimum of procedures that select by reward: mirror ascent in NumPy") {
  // On Gauss-Legendre points of five or six pieces: soft best-of-N as the sum over all N-tuples of points, rewind-and-repeat by its
  // definition with the gradient by complex steps; until the residual is below 1e-12.
  struct {
    const char *policy, *base;
    double beta, win_rate, kl;
  } const table[] = {
      {"soft_best_of:2:0.3", "soft_best_of:2:0.3", 0.1, 0.8772459202440757, 1.162923193640616},
      {"soft_best_of:3:0.2", "soft_best_of:3:0.2", 0.1, 0.8826156352993191, 1.0714144763799882},
      {"soft_best_of:3:0.1", "standard", 0.05, 0.949136055549732, 0.9434374863301502},
      {"rewind_and_repeat:0.8:4", "rewind_and_repeat:0.8:4", 0.05, 0.9505096008569207, 1.5667474606097944},
      {"rewind_and_repeat:0.8:4", "standard", 0.1, 0.9273182931075833, 0.5102911245438098},
      {"rewind_and_repeat:0.6:3:best", "rewind_and_repeat:0.6:3:best", 0.1, 0.902454290979697, 1.1147094125101227}};
  for (const auto& row : table) {
    CAPTURE(row.policy);
    const optimal_transform optimum = optimum_for(row.policy, row.base, row.beta);
    CHECK(std::abs(optimum.win_rate() - row.win_rate) <= 1e-11);
    CHECK(std::abs(optimum.kl() - row.kl) <= 1e-10);
    CHECK(optimum.proof() == optimality::best_stationary_point);
    // The distortion of the policy that was found, integrated anew.
    CHECK(std::abs(optimum.win_rate(optimum.played()) - row.win_rate) <= 1e-11);
  }
}

TEST_CASE("optimum of procedures that select by reward: its limits are those of other procedures") {
  const optimal_transform standard_optimum = optimum_for("standard", "standard", 0.2);
  for (const char* name : {"soft_best_of:4:1e7", "soft_best_of:1:0.1", "rewind_and_repeat:0.5:1", "rewind_and_repeat:0:4",
                           "rewind_and_repeat:1:4"}) {
    CAPTURE(name);
    const optimal_transform optimum = optimum_for(name, name, 0.2);
    CHECK(std::abs(optimum.win_rate() - standard_optimum.win_rate()) <= 1e-6);
    CHECK(std::abs(optimum.kl() - standard_optimum.kl()) <= 1e-6);
    CHECK(std::abs(optimum(0.3) - standard_optimum(0.3)) <= 1e-6);
  }
  // With a threshold of 1 nothing passes: the best of 4 is served.
  const optimal_transform best = optimum_for("rewind_and_repeat:1:4:best", "rewind_and_repeat:1:4:best", 0.1);
  const optimal_transform best_of_4 = optimum_for("best_of:4", "best_of:4", 0.1);
  CHECK(std::abs(best.win_rate() - best_of_4.win_rate()) <= 1e-10);
  CHECK(std::abs(best.kl() - best_of_4.kl()) <= 1e-9);
  CHECK(std::abs(best(0.5) - best_of_4(0.5)) <= 1e-9);
  // A tie within λ moves at most N·λ of the mass.
  CHECK(std::abs(optimum_for("soft_best_of:4:0.02", "best_of:4", 0.1).win_rate() - best_of_4.win_rate()) <= 0.08);
}

TEST_CASE("optimum of procedures that select by reward: no policy near it is worth more, to the second order") {
  // Every bump of size h costs a multiple of h²: a first-order gain would show as 1e-3.
  for (const char* name : {"soft_best_of:4:0.1", "rewind_and_repeat:0.7:5", "rewind_and_repeat:0.7:5:best"}) {
    CAPTURE(name);
    const double beta = 0.1;
    const optimal_transform optimum = optimum_for(name, name, beta);
    const double worth = optimum.win_rate() - beta * optimum.kl();
    for (const double at : {0.3, 0.65, 1.0})
      for (const double by : {-0.01, 0.01}) {
        CAPTURE(at);
        const log_of_density moved{&optimum, by, at};
        std::vector<double> u{0}, values{moved(0.0)}, slopes{moved.derivative(0.0)};
        for (int i = 1; i <= 200; ++i) {
          const double next = i / 200.0, below = next - 0x1p-30;
          if (i == 140) {  // the threshold
            u.push_back(below);
            values.push_back(moved(below));
            slopes.push_back(moved.derivative(below));
          }
          u.push_back(next);
          values.push_back(moved(next));
          slopes.push_back(moved.derivative(next));
        }
        const tilted_density policy(tabulated::hermite(u, values, slopes), kl_weight(1));
        const double loss = worth - (policy.win_rate(optimum.played()) - beta * policy.kl());
        CHECK(loss >= -1e-8);
        CHECK(loss <= 3e-5);
      }
  }
}

TEST_CASE("optimum of procedures that select by reward: its table leads to its policy, jump and all") {
  for (const char* name : {"soft_best_of:4:0.1", "rewind_and_repeat:0.8:4"}) {
    CAPTURE(name);
    const optimal_transform optimum = optimum_for(name, name, 0.1);
    const tabulated table = optimum.table(1e-7);
    const tilted_density policy(table, kl_weight(0.1));
    CHECK(std::abs(policy.kl() - optimum.kl()) <= 1e-6);
    CHECK(std::abs(policy.win_rate(optimum.played()) - optimum.win_rate()) <= 1e-7);
    CHECK(optimum(1.0) == 0);
    for (const double u : {0.1, 0.5, 0.79, 0.81, 0.97}) {
      CHECK(std::abs(table(u) - optimum(u)) <= 1e-7);
      CHECK(std::abs((optimum(u + 1e-5) - optimum(u - 1e-5)) / 2e-5 - optimum.derivative(u)) <= 1e-4);
    }
  }
  // Next to a threshold below what the policy serves, being rejected is worth more than passing.
  const optimal_transform rewinding = optimum_for("rewind_and_repeat:0.8:4", "rewind_and_repeat:0.8:4", 0.1);
  CHECK(rewinding(0.8 - 1e-6) - rewinding(0.8) > 0.1);
}

TEST_CASE("optimum of procedures that select by reward: where several maxima are, the best is found") {
  // Random starts climb to one of 0.0625 less.
  const optimal_transform optimum = optimum_for("rewind_and_repeat:0.5:100", "best_of:16", 1);
  CHECK(optimum.stationary_points() > 1);
  // The function of b alone that is left (see `reward_ascent`) has two maxima, found by SciPy: 0.187276199105 is the other.
  CHECK(std::abs(optimum.win_rate() - optimum.kl() - 0.249763236766) <= 1e-11);
  CHECK(std::abs(optimum.cdf(0.5) - 0.955206486) <= 1e-6);
}

TEST_CASE("optimum of procedures that select by reward: served, it wins what it says") {
  const index_t prompts = test::draws(10'000);
  const optimal_transform soft = optimum_for("soft_best_of:4:0.1", "soft_best_of:4:0.1", 0.1);
  CHECK(test::is_share(optimum_wins(soft_best_of(4, 0.1), soft, prompts), soft.win_rate(), prompts));
  const optimal_transform rewind = optimum_for("rewind_and_repeat:0.8:4", "rewind_and_repeat:0.8:4", 0.3);
  CHECK(test::is_share(optimum_wins(rewind_and_repeat(0.8, 4), rewind, prompts), rewind.win_rate(), prompts));
}

TEST_CASE("plans for procedures that select by reward have their optimum, and prices against it") {
  const matchup rewinding(rewind_and_repeat(0.8, 4)), soft(soft_best_of(4, 0.1));
  const plan_table by_kl = plan(rewinding, {kl_budget(1)}), by_beta = plan(soft, kl_weight(0.1), {identity()});
  CHECK(by_kl.sections.front().rows.front().reached->kl == doctest::Approx(1).epsilon(2e-9));
  CHECK(by_kl.sections.front().rows[1].transform == "exponential:10");
  for (const plan_table& table : {by_kl, by_beta}) {
    CHECK(table.recommended == "optimal");
    const plan_section& section = table.sections.front();
    CHECK(section.rows.front().transform == "optimal");
    CHECK(section.rows[1].price > 0.01);
    CHECK(section.proof == optimality::best_stationary_point);
    CHECK_FALSE(section.bound_proved);
  }
}

TEST_CASE("optimum of procedures that select by reward: what is proved, and what is refused") {
  // δ²W <= N(N-1)/2·(∫|δf|)², so that β >= N(N-1)/2 is concave.
  CHECK(optimum_for("soft_best_of:3:0.1", "standard", 3).proof() == optimality::proved_global);
  CHECK(optimum_for("rewind_and_repeat:0.5:3", "standard", 2.9).proof() == optimality::best_stationary_point);
  const matchup mixed = matchup::mixture({{0.5, matchup(soft_best_of(4, 0.1))}, {0.5, matchup(standard())}});
  CHECK_THROWS_WITH_AS(optimal_transform(mixed, kl_weight(0.1)),
                       doctest::Contains("a mixture of procedures that select by reward"), optimum_not_found);
  const plan_table table = plan(mixed, {kl_budget(1)});
  CHECK(table.sections.front().rows.front().reached);
  CHECK_FALSE(table.sections.front().rows.back().reached);
  CHECK_THROWS_AS(optimum_for("soft_best_of:4:0.1", "standard", 1e-200), optimum_not_found);
  // The derivative is known to less for a large N, and the optimum with it.
  const optimal_transform many = optimum_for("soft_best_of:1024:0.1", "soft_best_of:1024:0.1", 0.25);
  CHECK(std::abs(many.win_rate(many.played()) - many.win_rate()) <= 1e-9);
}
