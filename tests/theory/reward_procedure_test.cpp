// SPDX-License-Identifier: Apache-2.0
/// Procedures that select by the calibrated reward, as `plan` takes them: names, matchups, rows.
#include <doctest/doctest.h>

#include <cmath>
#include <infalign/serving/any_served_procedure.hpp>
#include <infalign/theory.hpp>
#include <string>

#include "support/samples.hpp"

using namespace infalign;

namespace {

matchup served_game(const char* policy, const char* base) {
  return {parse_served_procedure(policy), parse_served_procedure(base)};
}
double identity_wins(const char* policy, const char* base) {
  return tradeoff_at(served_game(policy, base), identity(), kl_weight(0.2)).inference_win_rate;
}
std::string served_message(const std::string& text) {
  return test::message_of<domain_error>([&] { (void)parse_served_procedure(text); });
}

}  // namespace

TEST_CASE("names of procedures that select by reward, and of the others") {
  for (const name_entry& entry : served_procedure_names()) CHECK(parse_served_procedure(entry.example).name() == entry.example);
  CHECK(served_procedure_names().size() == procedure_names().size() + 2);
  for (const char* name : {"soft_best_of:8:0.05", "rewind_and_repeat:0.5:10", "rewind_and_repeat:0.5:10:best", "top_of:2:4"})
    CHECK(parse_served_procedure(name).name() == name);
  CHECK(parse_served_procedure("rewind_and_repeat:0.5:10:last").name() == "rewind_and_repeat:0.5:10");
  CHECK(served_message("soft_best_of:4") ==
        "parse_served_procedure: 'soft_best_of:4': LAMBDA is missing; the syntax is soft_best_of:N:LAMBDA");
  CHECK(served_message("soft_best_of:4:0").find("lambda is 0, must be positive and finite") != std::string::npos);
  CHECK(served_message("rewind_and_repeat:0.5:0").find("attempts is 0, must be at least 1") != std::string::npos);
  CHECK(served_message("rewind_and_repeat:0.5:2:first").find("is 'first', must be last or best") != std::string::npos);
  CHECK(served_message("rewind_and_repeat:0.5:2:best:3").find("is 'best:3'") != std::string::npos);
  CHECK(served_message("soft").find("best_of_poisson:MEAN, soft_best_of:N:LAMBDA, rewind_and_repeat:TAU:M") !=
        std::string::npos);
}

TEST_CASE("procedures that select by reward: win rates of the identity by quadrature in NumPy") {
  // Both served densities on Gauss-Legendre points of the pieces; for two samples, the double integral of the definition.
  CHECK(identity_wins("soft_best_of:2:0.1", "soft_best_of:2:0.1") == doctest::Approx(0.802219582756).epsilon(1e-11));
  CHECK(identity_wins("soft_best_of:2:0.1", "standard") == doctest::Approx(0.884283202605).epsilon(1e-11));
  CHECK(identity_wins("rewind_and_repeat:0.8:4", "rewind_and_repeat:0.8:4") == doctest::Approx(0.745538106589).epsilon(1e-11));
  CHECK(identity_wins("rewind_and_repeat:0.8:4", "standard") == doctest::Approx(0.911126713806).epsilon(1e-11));
  CHECK(identity_wins("rewind_and_repeat:0.6:3:best", "rewind_and_repeat:0.6:3:best") ==
        doctest::Approx(0.729473965190).epsilon(1e-11));
  // Objects as names, in a mixture too.
  const matchup soft(soft_best_of(2, 0.1)), rewind(rewind_and_repeat(0.8, 4), standard());
  const matchup mixed = matchup::mixture({{0.25, soft}, {0.75, rewind}});
  CHECK(mixed.name() == "0.25*soft_best_of:2:0.1 + 0.75*rewind_and_repeat:0.8:4 vs standard");
  const tilted_density policy(identity(), kl_weight(0.2));
  CHECK(policy.win_rate(mixed) == doctest::Approx(0.25 * 0.802219582756 + 0.75 * 0.911126713806).epsilon(1e-11));
  CHECK(policy.win_rate(soft_best_of(2, 0.1), standard()) == doctest::Approx(0.884283202605).epsilon(1e-11));
}

TEST_CASE("procedures that select by reward: limits") {
  const double standard_wins = identity_wins("standard", "standard");
  for (const char* name : {"soft_best_of:1:0.1", "soft_best_of:4:1e9", "rewind_and_repeat:0.7:1",
                           "rewind_and_repeat:0.7:1:best", "rewind_and_repeat:0:5", "rewind_and_repeat:1:5"})
    CHECK(identity_wins(name, name) == doctest::Approx(standard_wins).epsilon(1e-8));
  // A tie within λ: at most N·λ of the mass of either side moves.
  CHECK(std::abs(identity_wins("soft_best_of:4:0.001", "soft_best_of:4:0.001") - identity_wins("best_of:4", "best_of:4")) <
        0.008);
  CHECK(identity_wins("rewind_and_repeat:1:4:best", "standard") ==
        doctest::Approx(identity_wins("best_of:4", "standard")).epsilon(1e-12));
}

TEST_CASE("procedures that select by reward: bad input of a matchup") {
  CHECK_THROWS_WITH_AS(
      matchup(soft_best_of(4, 0x1p-13), standard()),
      "matchup: the lambda of soft_best_of:4:0.0001220703125 is 0.0001220703125, must be at least 0.00025: below "
      "that it is best_of:4",
      domain_error);
  CHECK_THROWS_WITH_AS(matchup(standard(), soft_best_of(index_t{1} << 31, 0.5)),
                       doctest::Contains("soft_best_of:2147483648:0.5 draws 2147483648 samples, the most are"), domain_error);
}
