// SPDX-License-Identifier: Apache-2.0
/// Importance weights: inside a loss, and of a batch.
#include "infalign/objective/importance_weights.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "infalign/objective/losses.hpp"
#include "objective/loss_table.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::importance_weight;
using infalign::importance_weights;
using infalign::index_t;
using infalign::weight_level;
using infalign::weight_rule;
namespace test = infalign::test;

namespace {

const importance_weight truncated{.high = 2, .low = 0.5}, masked{weight_rule::mask, 2, 0.5};

/// All of what a loss may depend on.
struct talkative {
  static constexpr bool needs_base = true;
  static constexpr bool needs_base_log_prob = true;
  static constexpr bool needs_entropy = true;
  INFALIGN_HD double sequence_term(const infalign::token_row&) const { return 3; }
  INFALIGN_HD infalign::loss_value operator()(const infalign::token_row& row) const { return {row.sequence_term, 1, 2, -4}; }
};

}  // namespace

TEST_CASE("a weight is truncated or masked outside its bounds") {
  for (const double w : {0.5, 0.7, 1.0, 1.9}) {
    CHECK(truncated(std::log(w)) == doctest::Approx(w).epsilon(1e-15));
    CHECK(masked(std::log(w)) == doctest::Approx(w).epsilon(1e-15));
  }
  CHECK(truncated(1) == 2);
  CHECK(truncated(-1) == 0.5);
  CHECK(truncated(1e4) == 2);
  CHECK(truncated(-1e4) == 0.5);
  CHECK(masked(1) == 0);
  CHECK(masked(-1) == 0);
  CHECK(masked(1e4) == 0);
  CHECK(masked(-1e4) == 0);
  CHECK(std::isnan(truncated(NAN)));
  CHECK(std::isnan(masked(NAN)));
}

TEST_CASE("weighted and unclipped, REINFORCE estimates the gradient of another policy's expected advantage") {
  const std::array<double, 4> p{0.1, 0.2, 0.3, 0.4}, sampler{0.4, 0.3, 0.2, 0.1}, advantage{1, -2, 0.5, 3};
  const auto loss = infalign::importance_weighted(infalign::reinforce{}, {.high = 100});
  double mean = 0;
  for (std::size_t a = 0; a < 4; ++a) mean += p[a] * advantage[a];
  for (std::size_t j = 0; j < 4; ++j) {
    double expected = 0;
    for (std::size_t a = 0; a < 4; ++a) {
      const auto row = test::rows_of(loss, {{std::log(p[a])}, {std::log(sampler[a])}, {}, advantage[a]})[0];
      expected += sampler[a] * loss(row).by_log_prob * ((a == j ? 1 : 0) - p[j]);
    }
    CHECK(expected == doctest::Approx(-p[j] * (advantage[j] - mean)).epsilon(1e-14));
  }
}

TEST_CASE("the levels: the token's ratio, the response's, and its mean per token") {
  const test::response y{{-1, -2}, {-1.25, -2.125}, {}, 1};
  const auto weight = [&](weight_level level, std::size_t t) {
    const auto loss = infalign::importance_weighted(infalign::reinforce{}, {.high = 100, .level = level});
    return -loss(test::rows_of(loss, y)[t]).by_log_prob;
  };
  CHECK(weight(weight_level::token, 0) == doctest::Approx(std::exp(0.25)).epsilon(1e-15));
  CHECK(weight(weight_level::token, 1) == doctest::Approx(std::exp(0.125)).epsilon(1e-15));
  for (const std::size_t t : {0U, 1U}) {
    CHECK(weight(weight_level::sequence, t) == doctest::Approx(std::exp(0.375)).epsilon(1e-15));
    CHECK(weight(weight_level::sequence_mean, t) == doctest::Approx(std::exp(0.1875)).epsilon(1e-15));
  }
}

TEST_CASE("a weight multiplies all derivatives of a loss, and a KL term outside is left alone") {
  const auto loss = infalign::importance_weighted(talkative{}, {.high = 2});
  static_assert(loss.needs_old_log_prob && loss.needs_base && loss.needs_base_log_prob && loss.needs_entropy);
  const auto v = loss(test::rows_of(loss, {{-1, -1}, {-1.5, -1}, {-3, -1}, 1})[0]);
  const double w = std::exp(0.5);
  CHECK(v.value == doctest::Approx(3 * w));
  CHECK(v.by_log_prob == doctest::Approx(w));
  CHECK(v.by_kl == doctest::Approx(2 * w));
  CHECK(v.by_entropy == doctest::Approx(-4 * w));
  const auto with_kl = infalign::with_kl(loss, {.beta = infalign::kl_weight(0.5), .value = {infalign::kl_estimator::k2}});
  static_assert(with_kl.needs_old_log_prob && with_kl.needs_base && with_kl.needs_base_log_prob && with_kl.needs_entropy);
  const auto sum = with_kl(test::rows_of(with_kl, {{-1, -1}, {-1.5, -1}, {-3, -1}, 1})[0]);
  CHECK(sum.value == doctest::Approx(3 * w + 0.5 * 2));
  CHECK(sum.by_log_prob == doctest::Approx(w + 0.5 * 2));
  CHECK(sum.by_kl == v.by_kl);
  CHECK(sum.by_entropy == v.by_entropy);
}

TEST_CASE_TEMPLATE("reported: weights of sampler against trainer, truncated or masked (TRL 4493, NeMo-RL 2269, OpenRLHF 1298)",
                   C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const std::vector<T> trained{T(-1), T(-2), T(-0.5), T(-3), T(-1.5), T(-0.25)},
      sampler{T(-1.5), T(-1.75), T(-0.5), T(-1), T(-2.5), T(-0.25)};
  const std::vector<index_t> bounds{0, 2, 2, 5, 6};
  typename C::template array<T> a(trained), b(sampler), out(6, T(-9));
  typename C::template array<index_t> offsets(bounds);
  for (const weight_rule rule : {weight_rule::truncate, weight_rule::mask})
    for (const weight_level level : {weight_level::token, weight_level::sequence, weight_level::sequence_mean}) {
      const importance_weight weight{rule, 1.5, 0.4, level};
      importance_weights(on, a.ragged(offsets), b.ragged(offsets), weight, out.ragged(offsets));
      for (std::size_t r = 0; r + 1 < bounds.size(); ++r) {
        const auto first = static_cast<std::size_t>(bounds[r]), last = static_cast<std::size_t>(bounds[r + 1]);
        double sum = 0, sizes = 0;
        for (std::size_t t = first; t < last; ++t) {
          const auto difference = static_cast<double>(trained[t] - sampler[t]);
          sum += difference, sizes += std::abs(difference);
        }
        for (std::size_t t = first; t < last; ++t) {
          const double log_ratio = level == weight_level::token      ? static_cast<double>(trained[t] - sampler[t])
                                   : level == weight_level::sequence ? sum
                                                                     : sum / static_cast<double>(last - first);
          double expected = std::exp(log_ratio);
          if (rule == weight_rule::mask && (expected < 0.4 || expected > 1.5)) expected = 0;
          if (rule == weight_rule::truncate) expected = std::fmin(std::fmax(expected, 0.4), 1.5);
          const double error = std::abs(static_cast<double>(out.host()[t]) - expected);
          const double rounding = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
          CHECK(error <= expected * (rounding + 0x1p-53 * (5 + static_cast<double>(last - first) * sizes)));
        }
      }
    }
}

TEST_CASE_TEMPLATE("a long response's weight is summed in logarithms", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t n = 20'000;
  std::vector<T> trained, sampler;  // ratios of e^4 in the first half and e^-4 in the second: products overflow on the way
  for (index_t i = 0; i < n; ++i) trained.push_back(T(-8)), sampler.push_back(i < n / 2 ? T(-12) : T(-4));
  sampler.back() -= T(0.5);
  typename C::template array<T> a(trained), b(sampler);
  importance_weights(on, a.rows(1, n), b.rows(1, n), {.level = weight_level::sequence}, a.rows(1, n));
  CHECK(static_cast<double>(a.host()[0]) == doctest::Approx(std::exp(0.5)).epsilon(1e-6));
  CHECK(a.host().back() == a.host().front());
}

TEST_CASE_TEMPLATE("wrong weights and log-probabilities are named", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> a(std::vector<T>{-1, -2}), b(std::vector<T>{-1, -INFINITY}), out(2, T(0));
  const auto message = [&](const auto& x, const auto& y, const importance_weight& weight) {
    return test::message_of<infalign::error>([&] { importance_weights(on, x, y, weight, out.rows(1, 2)); });
  };
  CHECK(message(a.rows(1, 2), a.rows(1, 2), {.high = 0}) == "importance_weights: high is 0, must be positive");
  CHECK(message(a.rows(1, 2), a.rows(1, 2), {.high = 2, .low = 3}) == "importance_weights: low is 3, must be in [0, 2]");
  CHECK(message(a.rows(1, 2), a.rows(1, 2), {.high = NAN}) == "importance_weights: high is nan, must be positive");
  CHECK(message(a.rows(1, 2), b.rows(1, 2), {}) == "importance_weights: sampler_log_prob[0][1] is -inf, must be finite");
  CHECK(message(a.rows(1, 2), a.rows(2, 1), {}) == "importance_weights: sampler_log_prob has 2 groups, but log_prob has 1");
  CHECK(test::message_of<infalign::domain_error>([] {
          (void)infalign::importance_weighted(infalign::reinforce{}, {.high = -1});
        }) == "importance_weighted: high is -1, must be positive");
}
