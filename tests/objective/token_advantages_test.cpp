// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "infalign/objective/advantage/generalized.hpp"
#include "infalign/objective/advantage/mean_centred.hpp"
#include "infalign/objective/advantage/optimal_token_baseline.hpp"
#include "infalign/objective/advantage/returns.hpp"
#include "infalign/objective/advantage/whiten.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::deviation;
using infalign::index_t;
using infalign::variance_floor;
namespace test = infalign::test;

namespace {

template <class T>
void check_to_rounding(const std::vector<T>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(static_cast<double>(actual[i]) - expected[i]) <=
          32 * static_cast<double>(std::numeric_limits<T>::epsilon()));
  }
}

template <class T>
std::vector<T> rounded(const std::vector<double>& values) {
  std::vector<T> all;
  for (const double x : values) all.push_back(static_cast<T>(x));
  return all;
}

/// Three padded responses of 4, 3 and 1 tokens. What padding holds must not matter.
template <class C>
struct padded {
  using T = typename C::value;
  static constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  typename C::backend on = C::make_backend();
  typename C::template array<T> rewards{std::vector<T>{T(0.5), T(-0.25), 1, 2, 0, T(0.3), T(-1.5), 7, T(0.25), nan, 0, 9}};
  typename C::template array<T> values{
      std::vector<T>{T(0.1), T(0.2), T(0.4), T(0.8), T(-0.5), T(0.6), T(0.1), nan, T(0.7), 2, 2, 2}};
  typename C::template array<std::int32_t> mask{std::vector<std::int32_t>{1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0}};
  typename C::template array<T> out = typename C::template array<T>(12, T(-9));
};

}  // namespace

TEST_CASE_TEMPLATE("returns and whitening as in REINFORCE++, by NumPy", C, INFALIGN_CONFIGURATIONS) {
  padded<C> p;
  const auto mask = p.mask.rows(3, 4);
  infalign::discounted_returns(p.on, p.rewards.rows(3, 4), 0.9, p.out.rows(3, 4), mask);
  check_to_rounding(p.out.host(), {2.543, 2.27, 2.8, 2.0, -0.945, -1.05, -1.5, 0, 0.25, 0, 0, 0});
  const auto returns = p.out.host();
  infalign::whiten(p.on, p.out.rows(3, 4), p.out.rows(3, 4), {}, mask);
  check_to_rounding(p.out.host(),
                    {0.9701525624675152, 0.8185488706795176, 1.1128710562020037, 0.6686111535265531, -0.9668206131974493,
                     -1.025129725423602, -1.2750259206785428, 0, -0.3032073835759949, 0, 0, 0});
  typename C::template array<typename C::value> again(returns);
  infalign::whiten(p.on, again.rows(3, 4), again.rows(3, 4),
                   {.spread = deviation::population, .floor = variance_floor::clamped}, mask);
  check_to_rounding(again.host(),
                    {1.037136716357547, 0.8750655523245701, 1.1897092041102024, 0.7147753900941536, -1.0335747127524264,
                     -1.0959097758420326, -1.36306004622606, 0, -0.3241423280659533, 0, 0, 0});
}

TEST_CASE_TEMPLATE("REINFORCE++ with a baseline: lengths weigh responses as their tokens do", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> rewards(std::vector<T>{1, 3, 0, 5}), lengths(std::vector<T>{3, 1, 2, 4});
  infalign::mean_centred_advantage(on, rewards.rows(2, 2), rewards.rows(2, 2));
  infalign::whiten(on, rewards.rows(2, 2), rewards.rows(2, 2), {}, lengths.rows(2, 2));
  check_to_rounding(rewards.host(), {-0.6120706993815823, 0.32957653043623664, -1.3183061217449465, 1.035811952799601});

  // Weights that sum to less than the one which Bessel's correction takes leave no variance: 1/√ε is what is multiplied by.
  typename C::template array<T> two(std::vector<T>{1, 3}), quarters(std::vector<T>{0.25, 0.25});
  infalign::whiten(on, two.rows(1, 2), two.rows(1, 2), {.epsilon = 0.25}, quarters.rows(1, 2));
  check_to_rounding(two.host(), {-2, 2});
}

TEST_CASE_TEMPLATE("advantages from a value function, by NumPy", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  padded<C> p;
  typename C::template array<T> returns(12, T(-9));
  const auto mask = p.mask.rows(3, 4);
  infalign::generalized_advantage(p.on, p.rewards.rows(3, 4), p.values.rows(3, 4), {0.9, 0.8}, p.out.rows(3, 4),
                                  returns.rows(3, 4), mask);
  check_to_rounding(p.out.host(), {1.6473856, 1.48248, 2.184, 1.2, 0.05936, -1.362, -1.6, 0, -0.45, 0, 0, 0});
  check_to_rounding(returns.host(), {1.7473856, 1.68248, 2.584, 2, -0.44064, -0.762, -1.5, 0, 0.25, 0, 0, 0});
}

TEST_CASE_TEMPLATE("the optimal token baseline, by NumPy", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  // Two prompts of three responses and of one.
  typename C::template array<T> returns(std::vector<T>{2, T(1.5), 1, 1, -1, nan, 3, nan, nan, T(0.5), T(0.25), nan}), out(12),
      norms(std::vector<T>{T(.5), T(.2), T(.9), T(.1), T(.4), 7, T(.3), 8, 8, T(.6), T(.1), 9}),
      mask(std::vector<T>{1, 1, 1, 1, 1, 0, 1, 0, 0, 1, 1, 0});
  typename C::template array<index_t> responses(std::vector<index_t>{0, 3, 4});
  infalign::optimal_token_baseline_advantage(on, returns.rows(4, 3), norms.rows(4, 3), responses.span(), out.rows(4, 3), 1e-8,
                                             mask.rows(4, 3));
  check_to_rounding(out.host(), {-0.22222219753086447, 1.0416666704861113, 6.2499999620158064e-09, -1.2222221975308645,
                                 -1.4583333295138887, 0, 0.7777778024691355, 0, 0, 0.5, 0.25, 0});
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 3, 5, 6, 8}), wrong(std::vector<index_t>{0, 3});
  typename C::template array<T> packed(std::vector<T>{2, T(1.5), 1, 1, -1, 3, T(0.5), T(0.25)}),
      packed_norms(std::vector<T>{T(.5), T(.2), T(.9), T(.1), T(.4), T(.3), T(.6), T(.1)});
  CHECK(test::message_of<infalign::shape_error>([&] {
          infalign::optimal_token_baseline_advantage(on, packed.ragged(offsets), packed_norms.ragged(offsets), wrong.span(),
                                                     packed.ragged(offsets));
        }) == "optimal_token_baseline_advantage: responses[1] is 3, but there are 4 values");
  infalign::optimal_token_baseline_advantage(on, packed.ragged(offsets), packed_norms.ragged(offsets), responses.span(),
                                             packed.ragged(offsets));
  const auto padded_out = out.host();
  std::vector<T> tokens;
  for (const std::size_t i : std::vector<std::size_t>{0, 1, 2, 3, 4, 6, 9, 10}) tokens.push_back(padded_out[i]);
  CHECK(test::same_bits(packed.host(), tokens));
}

TEST_CASE_TEMPLATE("ragged, padded left or right, and with holes: the same tokens, the same bits", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const std::vector<index_t> sizes{5, 1, 3};
  const auto r = test::normal_values<T>(9, 3), v = test::normal_values<T>(9, 4);
  typename C::template array<index_t> offsets(test::offsets_of(sizes));
  typename C::template array<T> rewards(r), values(v), returns(9), advantages(9), targets(9), white(9);
  infalign::discounted_returns(on, rewards.ragged(offsets), 0.97, returns.ragged(offsets));
  infalign::generalized_advantage(on, rewards.ragged(offsets), values.ragged(offsets), {0.97, 0.9}, advantages.ragged(offsets),
                                  targets.ragged(offsets));
  infalign::whiten(on, returns.ragged(offsets), white.ragged(offsets));
  // Where the tokens of the three responses stand among 7 columns.
  const std::vector<std::vector<std::vector<index_t>>> layouts{
      {{0, 1, 2, 3, 4}, {0}, {0, 1, 2}}, {{2, 3, 4, 5, 6}, {6}, {4, 5, 6}}, {{0, 2, 3, 5, 6}, {3}, {0, 3, 6}}};
  for (const auto& layout : layouts) {
    const T nan = std::numeric_limits<T>::quiet_NaN();
    std::vector<T> pr(21, nan), pv(21, nan), pm(21, T(0));
    std::vector<std::size_t> at;
    for (std::size_t g = 0; g < 3; ++g)
      for (const index_t column : layout[g]) {
        const std::size_t i = 7 * g + static_cast<std::size_t>(column);
        pr[i] = r[at.size()];
        pv[i] = v[at.size()];
        pm[i] = 1;
        at.push_back(i);
      }
    typename C::template array<T> rewards_padded(pr), values_padded(pv), mask(pm), a(21), b(21), c(21), d(21);
    infalign::discounted_returns(on, rewards_padded.rows(3, 7), 0.97, a.rows(3, 7), mask.rows(3, 7));
    infalign::generalized_advantage(on, rewards_padded.rows(3, 7), values_padded.rows(3, 7), {0.97, 0.9}, b.rows(3, 7),
                                    c.rows(3, 7), mask.rows(3, 7));
    infalign::whiten(on, a.rows(3, 7), d.rows(3, 7), {}, mask.rows(3, 7));
    const auto tokens = [&](auto& array) {
      const auto all = array.host();
      std::vector<T> some;
      for (const std::size_t i : at) some.push_back(all[i]);
      double padding = 0;
      for (std::size_t i = 0; i < all.size(); ++i) padding = test::larger(padding, pm[i] == 0 ? std::abs(double(all[i])) : 0);
      CHECK(padding == 0);
      return some;
    };
    CHECK(test::same_bits(tokens(a), returns.host()));
    CHECK(test::same_bits(tokens(b), advantages.host()));
    CHECK(test::same_bits(tokens(c), targets.host()));
    const auto whitened = tokens(d);
    for (std::size_t i = 0; i < 9; ++i)
      CHECK(std::abs(double(whitened[i]) - double(white.host()[i])) <= 4 * std::numeric_limits<T>::epsilon());
  }
}

TEST_CASE_TEMPLATE("whitening what hardly differs, what is equal, and nothing", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const T step = std::is_same_v<T, float> ? T(0.0625) : T(0.0078125);
  typename C::template array<T> near(std::vector<T>{T(1e6), T(1e6) + step, T(1e6), T(1e6) + step}), out(4);
  infalign::whiten(on, near.rows(2, 2), out.rows(2, 2), {.spread = deviation::population, .epsilon = 1e-30});
  check_to_rounding(out.host(), {-1, 1, -1, 1});
  for (const T value : {T(0.1), T(1e6) + T(0.3), T(1e30)}) {
    typename C::template array<T> tied(4, value);
    infalign::whiten(on, tied.rows(2, 2), out.rows(2, 2));
    CHECK(out.host() == std::vector<T>(4, T(0)));
  }
  typename C::template array<T> none(4, T(0));
  infalign::whiten(on, near.rows(2, 2), out.rows(2, 2), {}, none.rows(2, 2));
  CHECK(out.host() == std::vector<T>(4, T(0)));
  CHECK_NOTHROW(infalign::whiten(on, near.rows(0, 2), out.rows(0, 2)));
  typename C::template array<T> one(std::vector<T>{0, T(-1), 1, 1});
  const auto message = [](auto&& call) { return test::message_of<infalign::error>(call); };
  CHECK(message([&] { infalign::whiten(on, near.rows(2, 2), out.rows(2, 2), {}, one.rows(2, 2)); }) ==
        "whiten: mask[0][1] is -1, must be finite and not negative");
  CHECK(message([&] { infalign::whiten(on, near.rows(2, 2), out.rows(2, 2), {.epsilon = 0}); }) ==
        "whiten: epsilon is 0, must be positive and finite");
  CHECK(message([&] { infalign::discounted_returns(on, near.rows(2, 2), 1.5, out.rows(2, 2)); }) ==
        "discounted_returns: discount is 1.5, must be in [0, 1]");
  CHECK(message([&] {
          infalign::generalized_advantage(on, near.rows(2, 2), one.rows(2, 2), {}, out.rows(2, 2), out.rows(2, 2));
        }) == "generalized_advantage: returns overlaps advantages");
}
