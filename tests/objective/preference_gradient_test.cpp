// SPDX-License-Identifier: Apache-2.0
/// Preference objectives from logits, against PyTorch and against their definition.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "infalign/objective/preference/best_and_worst.hpp"
#include "infalign/objective/preference/served_weights.hpp"
#include "infalign/objective/preference_gradient.hpp"
#include "infalign/objective/preference_losses.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "objective/preference_values.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::kl_weight;
using infalign::preference_gradient;
using infalign::response_pair;
using infalign::responses;
using infalign::token_ids;
namespace test = infalign::test;
namespace known = infalign::test::preference;

namespace {

template <class C>
struct preference_batch {
  using T = typename C::value;
  using space = typename C::backend::memory_space;
  template <class U>
  using array = typename C::template array<U>;
  index_t tokens, columns;
  array<T> logits, base;
  array<std::int64_t> ids;
  array<index_t> offsets;
  array<response_pair> pairs;
  array<T> weights, rewards, gradient, loss, margin, log_prob, log_ratio;

  preference_batch(index_t n_columns, const std::vector<double>& of_policy, const std::vector<double>& of_base,
                   const std::vector<std::int64_t>& n_ids, const std::vector<std::int64_t>& positions,
                   const std::vector<std::int64_t>& indices, const std::vector<double>& of_tokens,
                   const std::vector<double>& of_responses)
      : tokens(static_cast<index_t>(n_ids.size())),
        columns(n_columns),
        logits(std::vector<T>(of_policy.begin(), of_policy.end())),
        base(std::vector<T>(of_base.begin(), of_base.end())),
        ids(n_ids),
        offsets(std::vector<index_t>(positions.begin(), positions.end())),
        pairs(paired(indices)),
        weights(std::vector<T>(of_tokens.begin(), of_tokens.end())),
        rewards(std::vector<T>(of_responses.begin(), of_responses.end())),
        gradient(tokens * n_columns, T(-99)),
        loss(static_cast<index_t>(indices.size() / 2), T(-99)),
        margin(static_cast<index_t>(indices.size() / 2), T(-99)),
        log_prob(static_cast<index_t>(of_responses.size()), T(-99)),
        log_ratio(static_cast<index_t>(of_responses.size()), T(-99)) {}

  static std::vector<response_pair> paired(const std::vector<std::int64_t>& indices) {
    std::vector<response_pair> pairs;
    for (std::size_t i = 0; i < indices.size(); i += 2) pairs.push_back({indices[i], indices[i + 1]});
    return pairs;
  }
  infalign::token_logits<T, space> batch() {
    return {logits.rows(tokens, columns), base.rows(tokens, columns), token_ids<space>(ids.span()).ignoring(-100)};
  }
  responses<space> of() { return responses(offsets.span()).weighted_by(weights.span()).with_rewards(rewards.span()); }
  infalign::preference_statistics<T, space> statistics() {
    return {loss.span(), margin.span(), log_prob.span(), log_ratio.span()};
  }
  auto gradient_rows() { return gradient.rows(tokens, columns); }
};

template <class C>
preference_batch<C> known_batch() {
  return {known::columns, known::logits, known::base, known::ids, known::offsets, known::pairs, known::weights, known::rewards};
}

template <class T>
std::vector<double> in_double(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

/// 1e-5 in float, 1e-12 in double, of the largest value.
template <class T>
void check_known(const std::vector<T>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  double largest = 0;
  for (const double e : expected) largest = std::max(largest, std::abs(e));
  int wrong = 0;
  for (std::size_t i = 0; i < actual.size(); ++i)
    wrong += !(std::abs(static_cast<double>(actual[i]) - expected[i]) <= (sizeof(T) == 4 ? 1e-5 : 1e-12) * largest);
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE_TEMPLATE("preference gradients from logits equal PyTorch", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const kl_weight beta(known::beta);
  const auto check_pairs = [&](const auto& loss, const std::vector<double>& losses, const std::vector<double>& gradient) {
    auto b = known_batch<C>();
    preference_gradient(on, loss, b.batch(), b.of(), b.pairs.span(), known::scale, b.statistics(), b.gradient_rows());
    check_known(b.loss.host(), losses);
    check_known(b.gradient.host(), gradient);
    check_known(b.log_prob.host(), known::log_prob);
    check_known(b.log_ratio.host(), known::log_ratio);
    const auto margins = b.margin.host(), log_ratios = b.log_ratio.host();
    for (std::size_t p = 0; p < margins.size(); ++p)
      CHECK(margins[p] == doctest::Approx(log_ratios[static_cast<std::size_t>(known::pairs[2 * p])] -
                                          log_ratios[static_cast<std::size_t>(known::pairs[2 * p + 1])])
                              .epsilon(1e-5));
  };
  check_pairs(infalign::dpo(beta), known::dpo_loss, known::dpo_gradient);
  check_pairs(infalign::ipo(beta, infalign::log_ratio_of::token), known::ipo_of_means_loss, known::ipo_of_means_gradient);
  check_pairs(infalign::bonbon(known::n, known::alpha), known::bonbon_loss, known::bonbon_gradient);
  const auto check_single = [&](const auto& loss, const std::vector<double>& losses, const std::vector<double>& gradient) {
    auto b = known_batch<C>();
    typename C::template array<T> of_responses(5, T(-99));
    infalign::preference_statistics<T, typename C::backend::memory_space> statistics{.loss = of_responses.span()};
    response_gradient(on, loss, b.batch(), b.of(), known::scale, statistics, b.gradient_rows());
    check_known(of_responses.host(), losses);
    check_known(b.gradient.host(), gradient);
  };
  check_single(infalign::qrpo(beta, known::log_z), known::qrpo_loss, known::qrpo_gradient);
  check_single(infalign::weighted_sft{}, known::weighted_sft_loss, known::weighted_sft_gradient);
}

TEST_CASE_TEMPLATE("base log-probabilities may be given, the gradient may replace the logits, padding changes nothing", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  using space = typename C::backend::memory_space;
  typename C::backend on = C::make_backend();
  const infalign::dpo loss{kl_weight(known::beta)};
  auto expected = known_batch<C>();
  preference_gradient(on, loss, expected.batch(), expected.of(), expected.pairs.span(), known::scale, expected.statistics(),
                      expected.gradient_rows());
  // Log-probabilities of the base, NaN where no token counts.
  auto given = known_batch<C>();
  typename C::template array<T> base(known::tokens, T(0));
  infalign::compute_token_statistics(
      on, infalign::token_logits<T, space>{given.base.rows(known::tokens, known::columns), {}, given.ids.span()},
      infalign::token_statistics<T, space>{.log_prob = base.span()});
  auto base_values = base.host();
  for (std::size_t t = 0; t < base_values.size(); ++t)
    if (known::weights[t] == 0) base_values[t] = NAN;
  typename C::template array<T> holes(base_values);
  auto batch = given.batch();
  batch.base = {};
  preference_gradient(on, loss, batch, given.of().with_base(holes.span()), given.pairs.span(), known::scale, given.statistics(),
                      given.logits.rows(known::tokens, known::columns));
  check_known(given.logits.host(), in_double(expected.gradient.host()));
  // Each response padded to 4 tokens on the left, by ids to leave out over logits that are no numbers.
  const std::size_t length = 4, columns = known::columns;
  std::vector<double> logits(5 * length * columns, NAN), base_logits = logits, weights(5 * length, 1);
  std::vector<std::int64_t> ids(5 * length, -100), offsets{0, 4, 8, 12, 16, 20};
  std::vector<std::size_t> places;
  for (std::size_t r = 0; r < 5; ++r)
    for (auto t = static_cast<std::size_t>(known::offsets[r]); t < static_cast<std::size_t>(known::offsets[r + 1]); ++t) {
      const std::size_t at = (r + 1) * length - (static_cast<std::size_t>(known::offsets[r + 1]) - t);
      for (std::size_t j = 0; j < columns; ++j) {
        logits[at * columns + j] = known::logits[t * columns + j];
        base_logits[at * columns + j] = known::base[t * columns + j];
      }
      ids[at] = known::ids[t];
      weights[at] = known::weights[t];
      places.push_back(at);
    }
  preference_batch<C> padded(known::columns, logits, base_logits, ids, offsets, known::pairs, weights, known::rewards);
  preference_gradient(on, loss, padded.batch(), padded.of(), padded.pairs.span(), known::scale, padded.statistics(),
                      padded.gradient_rows());
  // To the bit on a CPU. A GPU gives few rows larger teams, which add up in another order.
  const double rounding = std::is_same_v<space, infalign::host_memory> ? 0 : 1e-5;
  const auto is_equal = [rounding](T a, T b) { return std::abs(static_cast<double>(a) - static_cast<double>(b)) <= rounding; };
  CHECK(std::ranges::equal(padded.loss.host(), expected.loss.host(), is_equal));
  CHECK(std::ranges::equal(padded.margin.host(), expected.margin.host(), is_equal));
  auto found = padded.gradient.host();
  const auto wanted = expected.gradient.host();
  for (std::size_t t = 0; t < places.size(); ++t)
    for (std::size_t j = 0; j < columns; ++j) {
      CHECK(is_equal(found[places[t] * columns + j], wanted[t * columns + j]));
      found[places[t] * columns + j] = 0;
    }
  CHECK(found == std::vector<T>(found.size(), T(0)));
}

TEST_CASE_TEMPLATE("losses of given log-probabilities: what the gradient from logits has as its weights", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const infalign::bonbon loss(known::n, known::alpha);
  auto b = known_batch<C>();
  preference_gradient(on, loss, b.batch(), b.of(), b.pairs.span(), known::scale, b.statistics(), b.gradient_rows());
  std::vector<T> base_values;
  for (std::size_t r = 0; r < 5; ++r) base_values.push_back(static_cast<T>(known::log_prob[r] - known::log_ratio[r]));
  typename C::template array<T> log_prob(std::vector<T>(known::log_prob.begin(), known::log_prob.end())), base(base_values),
      slopes(5, T(-99));
  auto again = known_batch<C>();
  preference_losses(on, loss, infalign::response_log_probs(log_prob.span()).with_base(base.span()), b.pairs.span(),
                    known::scale, again.statistics(), slopes.span());
  check_known(again.loss.host(), in_double(b.loss.host()));
  // The gradient of a token's own logit is its weight times the slope times 1 - p.
  const auto slope = slopes.host(), gradient = b.gradient.host();
  for (std::size_t r = 0; r < 5; ++r)
    for (auto t = static_cast<std::size_t>(known::offsets[r]); t < static_cast<std::size_t>(known::offsets[r + 1]); ++t) {
      double sum = 0;
      for (std::size_t j = 0; j < known::columns; ++j) sum += std::exp(known::logits[t * known::columns + j]);
      const auto own = t * known::columns + static_cast<std::size_t>(known::ids[t]);
      const double expected = known::weights[t] * static_cast<double>(slope[r]) * (1 - std::exp(known::logits[own]) / sum);
      CHECK(static_cast<double>(gradient[own]) == doctest::Approx(expected).epsilon(sizeof(T) == 4 ? 1e-4 : 1e-11));
    }
  typename C::template array<T> of_responses(5, T(-99));
  infalign::preference_statistics<T, typename C::backend::memory_space> statistics{.loss = of_responses.span()};
  response_losses(on, infalign::qrpo(kl_weight(known::beta), known::log_z),
                  infalign::response_log_probs(log_prob.span()).with_base(base.span()).with_rewards(b.rewards.span()), 1.0,
                  statistics, slopes.span());
  check_known(of_responses.host(), known::qrpo_loss);
}

namespace {

/// A loss of a user's own: a squared margin, in one line.
struct squared_margin {
  INFALIGN_HD infalign::margin_value operator()(double margin) const { return {margin * margin, 2 * margin}; }
};

}  // namespace

TEST_CASE_TEMPLATE("what is wrong with responses and pairs is named, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  auto b = known_batch<C>();
  const auto message = [&](const auto& batch, const auto& of, const std::vector<std::int64_t>& indices, double scale = 1) {
    typename C::template array<response_pair> pairs(preference_batch<C>::paired(indices));
    auto statistics = b.statistics();
    statistics.loss = statistics.margin = {};
    const auto text = test::message_of<infalign::error>(
        [&] { preference_gradient(on, squared_margin{}, batch, of, pairs.span(), scale, statistics, b.gradient_rows()); });
    CHECK(b.gradient.host()[0] == T(-99));
    CHECK(b.log_prob.host()[0] == T(-99));
    return text;
  };
  CHECK(message(b.batch(), b.of(), {0, 1, 4, 5}) == "preference_gradient: pairs[1].rejected is 5, must be in [0, 4]");
  CHECK(message(b.batch(), b.of(), {-1, 1}) == "preference_gradient: pairs[0].chosen is -1, must be in [0, 4]");
  CHECK(message(b.batch(), b.of(), {0, 1}, INFINITY) == "preference_gradient: scale is inf, must be finite");
  auto alone = b.batch();
  alone.base = {};
  CHECK(message(alone, b.of(), {0, 1}) == "preference_gradient: loss needs base logits or base_log_prob");
  CHECK(message(alone, b.of().with_base(b.rewards.span()), {0, 1}) ==
        "preference_gradient: base_log_prob has 5 values, but there are 11 tokens");
  CHECK(message(b.batch(), b.of().with_rewards(b.weights.span()), {0, 1}) ==
        "preference_gradient: rewards has 11 values, but there are 5 responses");
  std::vector<T> values(known::tokens, T(-1));
  values[1] = NAN;
  typename C::template array<T> base(values);
  CHECK(message(alone, b.of().with_base(base.span()), {0, 1}) ==
        "preference_gradient: base_log_prob[1] is nan, must be a number or -inf");
  typename C::template array<index_t> short_offsets(std::vector<index_t>{0, 3, 10});
  CHECK(message(b.batch(), responses(short_offsets.span()), {0, 1}) ==
        "preference_gradient: offsets[2] is 10, but there are 11 values");
  auto statistics = b.statistics();
  statistics.loss = b.log_ratio.span();
  CHECK(test::message_of<infalign::error>([&] {
          preference_gradient(on, squared_margin{}, b.batch(), b.of(), b.pairs.span(), 1, statistics, b.gradient_rows());
        }) == "preference_gradient: statistics.loss has 5 values, must have 4");
  // Nothing at all is no error.
  typename C::template array<response_pair> none(0);
  preference_gradient(on, squared_margin{}, b.batch(), b.of(), none.span(), 1,
                      infalign::preference_statistics<T, typename C::backend::memory_space>{}, b.gradient_rows());
  CHECK(b.gradient.host() == std::vector<T>(b.gradient.host().size(), T(0)));
}

TEST_CASE_TEMPLATE("pairs of the best and the worst, and weights of what is served, by brute force", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const std::vector<T> rewards{3, 1, 3, 0, 0, 2, 2, 2, 2, 2, 5, -1, 4, T(0.5), 4};
  typename C::template array<T> r(rewards), weights(15, T(-99));
  typename C::template array<response_pair> pairs(3, {});
  best_and_worst(on, r.rows(3, 5), pairs.span());
  const auto found = pairs.host();
  const index_t expected[][2] = {{0, 4}, {5, 9}, {10, 11}};
  for (std::size_t g = 0; g < 3; ++g) {
    CHECK(found[g].chosen == expected[g][0]);
    CHECK(found[g].rejected == expected[g][1]);
  }
  served_weights(on, r.rows(3, 5), infalign::best_of(3), weights.rows(3, 5));
  const auto w = weights.host();
  for (std::size_t g = 0; g < 3; ++g) {
    std::vector<double> by_subsets(5, 0.0);
    for (unsigned subset = 0; subset < 32; ++subset) {
      if (__builtin_popcount(subset) != 3) continue;
      T best = -100;
      for (std::size_t i = 0; i < 5; ++i)
        if ((subset >> i & 1) != 0) best = std::max(best, rewards[5 * g + i]);
      // A tie is served by each alike, so that all of equal reward have the same weight.
      double tied = 0;
      for (std::size_t i = 0; i < 5; ++i) tied += rewards[5 * g + i] == best ? 1 : 0;
      for (std::size_t i = 0; i < 5; ++i)
        if (rewards[5 * g + i] == best) by_subsets[i] += 0.1 / tied;
    }
    for (std::size_t i = 0; i < 5; ++i)
      CHECK(static_cast<double>(w[5 * g + i]) == doctest::Approx(by_subsets[i]).epsilon(1e-6));
  }
  CHECK(test::message_of<infalign::shape_error>([&] {
          served_weights(on, r.rows(3, 5), infalign::worst_of(6), weights.rows(3, 5));
        }) == "served_weights: rewards[0] has 5 values, fewer than the 6 that its procedure draws");
  CHECK(test::message_of<infalign::shape_error>([&] { best_and_worst(on, r.rows(15, 1), pairs.span()); }) ==
        "best_and_worst: pairs has 3 values, but there are 15 prompts");
}
