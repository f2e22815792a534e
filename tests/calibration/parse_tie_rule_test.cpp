// SPDX-License-Identifier: Apache-2.0
#include "infalign/calibration/parse_tie_rule.hpp"

#include <doctest/doctest.h>

#include "support/samples.hpp"

using infalign::parse_tie_rule;
using infalign::tie_rule;

TEST_CASE("names of tie rules") {
  CHECK(parse_tie_rule("mid_rank").rule == tie_rule::kind::mid_rank);
  CHECK(parse_tie_rule("below").rule == tie_rule::kind::below);
  CHECK(parse_tie_rule("at_or_below").rule == tie_rule::kind::at_or_below);
  CHECK(parse_tie_rule("randomized:7").rule == tie_rule::kind::randomized);
  CHECK(parse_tie_rule("randomized:7").seed == 7);
  const auto message = [](const char* text) {
    return infalign::test::message_of<infalign::domain_error>([&] { (void)parse_tie_rule(text); });
  };
  CHECK(message("mid") ==
        "parse_tie_rule: 'mid': unknown tie rule, must be one of mid_rank, below, at_or_below, randomized:SEED");
  CHECK(message("randomized") == "parse_tie_rule: 'randomized': SEED is missing; the syntax is randomized:SEED");
  CHECK(message("randomized:-1").find("SEED is -1, must not be negative") != std::string::npos);
}
