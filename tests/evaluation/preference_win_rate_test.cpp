// SPDX-License-Identifier: Apache-2.0
#include "infalign/evaluation/preference_win_rate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "evaluation/win_rates.hpp"
#include "infalign/statistics/summarize.hpp"
#include "support/configurations.hpp"

using infalign::index_t;
using infalign::preference_win_rate;
namespace test = infalign::test;
using test::message_of;

TEST_CASE_TEMPLATE("a win rate from judgments is their mean, prompt by prompt", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const test::groups<T> judged{{T(1)}, {T(0), T(1), T(0.5)}, {T(0.25), T(0.25)}, {T(0), T(0), T(0), T(1), T(1)}};
  typename C::template array<T> p(test::packed(judged));
  typename C::template array<index_t> offsets(test::offsets(judged));
  typename C::template array<double> out(4, -1.0);
  preference_win_rate(on, p.ragged(offsets), out.span());
  CHECK(out.host() == std::vector<double>{1, 0.5, 0.25, 0.4});
}

// AlpacaEval, gemini-pro against gpt4_turbo by the judge alpaca_eval_gpt4_turbo_fn: 162 wins, 639 losses and 4 ties
// (leaderboards/data_AlpacaEval_2, Apache-2.0) are 20.372670807453417 % with a standard error of 1.4150044409806855.
TEST_CASE_TEMPLATE("the published win rate and standard error of 805 judgments", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  std::vector<T> judged(805, T(0));
  for (std::size_t i = 0; i < 166; ++i) judged[i] = i < 162 ? T(1) : T(0.5);
  typename C::template array<T> p(judged);
  typename C::template array<double> out(805, -1.0);
  preference_win_rate(on, p.rows(805, 1), out.span());
  const infalign::estimate found = infalign::summarize(on, out.span(), infalign::win_rate_range);
  CHECK(std::abs(100 * found.value - 20.372670807453417) <= 1e-12);
  CHECK(std::abs(100 * found.standard_error - 1.4150044409806855) <= 1e-12);
}

TEST_CASE_TEMPLATE("what is no preference is named, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<double> out(2, -1.0);
  for (const double bad : {2.0, -0.5, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    typename C::template array<T> p(std::vector<T>{T(1), T(0), T(0.5), static_cast<T>(bad)});
    const auto message = message_of<infalign::domain_error>([&] { preference_win_rate(on, p.rows(2, 2), out.span()); });
    CHECK(message.starts_with("preference_win_rate: preferences[1][1] is "));
    CHECK(message.ends_with(", must be in [0, 1]"));
  }
  typename C::template array<T> p(std::vector<T>{T(1), T(0)});
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 0, 2});
  CHECK(message_of<infalign::shape_error>([&] { preference_win_rate(on, p.ragged(offsets), out.span()); }) ==
        "preference_win_rate: preferences[0] has 0 values, at least one is needed");
  CHECK(message_of<infalign::shape_error>([&] { preference_win_rate(on, p.rows(1, 2), out.span()); }) ==
        "preference_win_rate: out has 2 values, but preferences has 1 groups");
  CHECK(out.host() == std::vector<double>{-1, -1});
}
