// SPDX-License-Identifier: Apache-2.0
/// \file
/// What users of other software reported as wrong in losses from logits: the right value, by theory, is asked of this library.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "infalign/objective/losses.hpp"
#include "infalign/objective/policy_gradient.hpp"
#include "infalign/objective/sequence_policy_gradient.hpp"
#include "logits/loss_by_definition.hpp"
#include "logits/token_batch.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::clipped_surrogate;
using infalign::entropy_weight;
using infalign::index_t;
using infalign::infinity;
using infalign::kl_weight;
using infalign::objective_weights;
using infalign::policy_gradient;
using infalign::reinforce;
namespace test = infalign::test;

namespace {

template <class T>
constexpr double epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());

/// Loss, statistics and gradient of the first row equal their definitions, up to 64 units of rounding relative to the sum of
/// the sizes of their terms. An argument of exp is below 32 in size and rounded to half a unit, so a probability is off by at
/// most 16 units; a lane adds at most 1,024 terms before double takes over, whose roundings are a random walk of 16 units.
template <class C>
void check_first_row(test::token_batch<C> batch, const objective_weights& weights) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> loaded(batch);
  policy_gradient(on, reinforce{}, loaded.with_base(), loaded.advantages.span(), weights, loaded.statistics(),
                  loaded.gradient());
  const auto log_p = test::log_softmax(test::wide(batch.row(0), batch.columns));
  const auto log_q = test::log_softmax(test::wide(batch.base_row(0), batch.columns));
  const auto token = static_cast<std::size_t>(batch.ids[0]);
  const double rounding = 64 * epsilon<T>;
  long double kl = 0, kl_size = 0, entropy = 0;
  for (std::size_t j = 0; j < log_p.size(); ++j) {
    const long double p = std::exp(log_p[j]);
    if (p == 0) continue;
    kl += p * (log_p[j] - log_q[j]);
    kl_size += p * std::abs(log_p[j] - log_q[j]);
    entropy -= p * log_p[j];
  }
  const auto near = [rounding](double actual, long double expected, long double size) {
    return std::abs(actual - static_cast<double>(expected)) <= rounding * static_cast<double>(size);
  };
  CHECK(near(loaded.log_prob.host()[0], log_p[token], 1 + std::abs(log_p[token])));
  CHECK(near(loaded.kl.host()[0], kl, kl_size));
  CHECK(near(loaded.entropy.host()[0], entropy, 1 + entropy));
  const auto gradient = loaded.gradient_values.host();
  const auto w = static_cast<long double>(batch.advantages[0]);
  const auto beta = static_cast<long double>(weights.kl.value), eta = static_cast<long double>(weights.entropy.value);
  index_t wrong = 0;
  for (std::size_t j = 0; j < log_p.size(); ++j) {
    const long double p = std::exp(log_p[j]), score = j == token ? w : 0;
    const auto g = static_cast<double>(gradient[j]);
    if (p == 0) {
      wrong += g == 0 ? 0 : 1;
      continue;
    }
    const long double expected = p * (w + beta * (log_p[j] - log_q[j] - kl) + eta * (log_p[j] + entropy)) - score;
    const long double size = p * (std::abs(w) + beta * (std::abs(log_p[j] - log_q[j]) + kl) + eta * (entropy - log_p[j]));
    wrong += near(g, expected, size + std::abs(score)) ? 0 : 1;
  }
  CHECK(wrong == 0);
}

}  // namespace

// p-e-w/heretic 346 and 348: logits of -inf in both policies made the KL NaN.
TEST_CASE_TEMPLATE("suppressed ids of a vocabulary of 262,144", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const index_t v = 262'144;
  test::token_batch<C> batch(1, v, 1, 3);
  batch.ids = {5};
  batch.advantages = {T(1)};
  for (std::size_t j = 0; j < batch.base.size(); ++j) batch.base[j] = batch.logits[j] + batch.base[j] / 30;
  for (const index_t id : {index_t{258'882}, index_t{258'883}}) batch.row(0)[id] = batch.base_row(0)[id] = -infinity<T>;
  check_first_row(batch, {kl_weight(0.5), entropy_weight(0.1)});
  // A base that lost a token which the policy has: the KL is infinite, and its gradient is none.
  batch.base_row(0)[3] = -infinity<T>;
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> loaded(batch);
  const auto count = [&](auto&& is) {
    const auto gradient = loaded.gradient_values.host();
    return std::count_if(gradient.begin(), gradient.end(), is);
  };
  policy_gradient(on, reinforce{}, loaded.with_base(), loaded.advantages.span(), {kl_weight(0.5)}, loaded.statistics(),
                  loaded.gradient());
  CHECK(loaded.kl.host()[0] == infinity<T>);
  CHECK(std::isfinite(loaded.loss.host()[0]));
  CHECK(count([](T g) { return std::isnan(g); }) == v);
  policy_gradient(on, reinforce{}, loaded.with_base(), loaded.advantages.span(), {}, loaded.statistics(), loaded.gradient());
  CHECK(count([](T g) { return std::isfinite(g); }) == v);
}

// pytorch/pytorch 80488: terms of a KL below 0, also where both policies are the same.
TEST_CASE_TEMPLATE("the KL of policies that are close to each other has the digits of its type", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto kl_of = [&](const test::token_batch<C>& batch) {
    test::loaded_batch<C> loaded(batch);
    policy_gradient(on, reinforce{}, loaded.with_base(), loaded.advantages.span(), {kl_weight(0.5)}, loaded.statistics(),
                    loaded.gradient());
    return static_cast<double>(loaded.kl.host()[0]);
  };
  test::token_batch<C> reported(1, 3);
  reported.logits = reported.base = {1, 2, 3};
  CHECK(kl_of(reported) == 0);
  reported.logits = {8, 10, 6};
  const auto expected = static_cast<double>(test::kl(test::wide(reported.logits), test::wide(reported.base)));
  CHECK(std::abs(expected - (0.0310 + 1.0962 - 0.0593)) < 2e-4);  // as printed there
  CHECK(std::abs(kl_of(reported) - expected) <= 16 * epsilon<T>);
  for (const double distance : {1e-2, 1e-4, 1e-6}) {
    CAPTURE(distance);
    test::token_batch<C> batch(1, 9001, 2, 4);
    for (std::size_t j = 0; j < batch.base.size(); ++j)
      batch.base[j] = batch.logits[j] + static_cast<T>(distance / 4) * batch.base[j];
    // With d the differences of the logits and x = log p - log q = d - z: z = log Σ q·e^d, and KL = Σ p·(e^-x - 1 + x), in
    // which nothing cancels but the bracket, of numbers of the size of x with 19 digits.
    const auto log_p = test::log_softmax(test::wide(batch.logits)), log_q = test::log_softmax(test::wide(batch.base));
    const auto difference = [&](std::size_t j) {
      return static_cast<long double>(batch.logits[j]) - static_cast<long double>(batch.base[j]);
    };
    long double growth = 0, kl = 0;
    for (std::size_t j = 0; j < log_q.size(); ++j) growth += std::exp(log_q[j]) * std::expm1(difference(j));
    for (std::size_t j = 0; j < log_p.size(); ++j) {
      const long double x = difference(j) - std::log1p(growth);
      kl += std::exp(log_p[j]) * (std::expm1(-x) + x);
    }
    // The terms are measured from a centre that is one of the ratios, up to four standard deviations away: they are up to 16
    // times the KL, at 8 units of rounding each. The normaliser's logarithm is of the size of the distance, and in double.
    const double tolerance = 128 * epsilon<T> + 4 * epsilon<double> / std::sqrt(static_cast<double>(kl));
    CHECK(std::abs(kl_of(batch) - static_cast<double>(kl)) <= tolerance * static_cast<double>(kl));
  }
}

namespace {

constexpr double levels[] = {1, 1e4, 1e8, 1e15, 1e16, 1e20, 1e30, -1e20};

template <class C, class Storage>
void check_equal_logits() {
  using T = typename C::value;
  using space = typename C::backend::memory_space;
  typename C::backend on = C::make_backend();
  for (const double level : levels) {
    CAPTURE(level);
    const auto logit = static_cast<Storage>(static_cast<T>(level));
    if (!std::isfinite(static_cast<T>(logit))) continue;  // more than the type holds
    typename C::template array<Storage> logits(std::vector<Storage>{logit, logit}), gradient(std::vector<Storage>(2));
    typename C::template array<std::int32_t> ids(std::vector<std::int32_t>{0});
    typename C::template array<T> advantage(std::vector<T>{1}), loss(1), log_prob(1), kl(1), entropy(1);
    policy_gradient(on, reinforce{}, infalign::token_logits<Storage, space>{logits.rows(1, 2), logits.rows(1, 2), ids.span()},
                    advantage.span(), {kl_weight(0.1), entropy_weight(0.1)},
                    infalign::token_statistics<T, space>{loss.span(), log_prob.span(), kl.span(), entropy.span()},
                    gradient.rows(1, 2));
    CHECK(std::abs(static_cast<double>(log_prob.host()[0]) + std::log(2.0)) <= epsilon<T>);
    CHECK(std::abs(static_cast<double>(loss.host()[0]) - std::log(2.0)) <= epsilon<T>);
    CHECK(std::abs(static_cast<double>(entropy.host()[0]) - std::log(2.0)) <= epsilon<T>);
    CHECK(kl.host()[0] == 0);
    const auto g = gradient.host();
    CHECK(std::abs(static_cast<double>(static_cast<T>(g[0])) + 0.5) <= 2 * epsilon<T>);
    CHECK(std::abs(static_cast<double>(static_cast<T>(g[1])) - 0.5) <= 2 * epsilon<T>);
  }
}

}  // namespace

// ml-explore/mlx 4169, pytorch/pytorch 11752: the loss of two equal logits was 0 from 1e8 on, where log-sum-exp is the logit.
TEST_CASE_TEMPLATE("two equal logits of any size", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  check_equal_logits<C, T>();
  if constexpr (std::is_same_v<T, float>) {
    check_equal_logits<C, infalign::bfloat16>();
    check_equal_logits<C, infalign::half>();
  }
}

// ml-explore/mlx 4188: the loss of logits at an offset.
TEST_CASE_TEMPLATE("an offset of all logits costs no digits", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const double offset : {0.0, 1e2, 1e4, 1e5}) {
    CAPTURE(offset);
    // The definition is taken of the logits as they are rounded at that offset.
    test::token_batch<C> batch(1, 4099, 4, 3);
    for (std::size_t j = 0; j < batch.logits.size(); ++j) {
      batch.logits[j] += static_cast<T>(offset);
      batch.base[j] = batch.logits[j] + batch.base[j] / 10;
    }
    check_first_row(batch, {kl_weight(0.3), entropy_weight(0.2)});
  }
  for (const double offset : {0.0, 1e4, 1e6}) {
    test::token_batch<C> batch(1, 2);
    batch.logits = {static_cast<T>(2 + offset), static_cast<T>(-1 + offset)};
    batch.ids = {0};
    batch.advantages = {T(1)};
    test::loaded_batch<C> loaded(batch);
    policy_gradient(on, reinforce{}, loaded.without_base(), loaded.advantages.span(), {}, loaded.statistics(),
                    loaded.gradient());
    // The rounding is that of 1 + e^-3.
    CHECK(std::abs(static_cast<double>(loaded.loss.host()[0]) - std::log1p(std::exp(-3.0))) <= epsilon<T>);
  }
}

// NVIDIA-NeMo/RL 4120: a masked token whose old log-probability was extreme spoilt the loss by 0·inf.
TEST_CASE_TEMPLATE("a token without advantage adds nothing, whatever its old log-probability", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(3, 4);
  batch.logits = {1, 0, -1, 2, 1, 0, -1, 2, 0, 0, 1, 1};
  batch.ids = {3, 2, 0};
  batch.advantages = {1, 0, -1};
  test::loaded_batch<C> loaded(batch);
  const auto run = [&](double old_of_masked) {
    typename C::template array<T> old(std::vector<T>{T(-0.5), static_cast<T>(old_of_masked), T(-1.4)});
    policy_gradient(on, clipped_surrogate(0.2, 0.2), loaded.without_base(),
                    infalign::token_data(loaded.advantages.span(), old.span()), {}, loaded.statistics(), loaded.gradient());
  };
  run(-1);
  const auto loss = loaded.loss.host(), gradient = loaded.gradient_values.host();
  // Ratios by definition: π(3) = e²/Σ in the first row, above 1 - ε and below 1 + ε; in the last row
  // it is below 1 - ε, with A < 0.
  const double ratio = std::exp(0.5) * std::exp(2.0) / (std::exp(1.0) + 1 + std::exp(-1.0) + std::exp(2.0));
  CHECK(std::abs(static_cast<double>(loss[0]) + ratio) <= 8 * epsilon<T>);
  CHECK(std::abs(static_cast<double>(loss[2]) - 0.8) <= epsilon<T>);
  const auto without_masked = [](std::vector<T> values, std::size_t columns) {
    for (std::size_t j = 0; j < columns; ++j) {
      CHECK(values[columns + j] == 0);
      values[columns + j] = 0;  // of either sign
    }
    return values;
  };
  for (const double old : {-1.0, -200.0, -800.0, -1e30, -static_cast<double>(infinity<T>)}) {
    CAPTURE(old);
    run(old);
    CHECK(test::same_bits(without_masked(loaded.loss.host(), 1), without_masked(loss, 1)));
    CHECK(test::same_bits(without_masked(loaded.gradient_values.host(), 4), without_masked(gradient, 4)));
  }
  // NaN is an error, also where it would not count.
  CHECK(test::message_of<infalign::domain_error>([&] { run(std::numeric_limits<double>::quiet_NaN()); }) ==
        "policy_gradient: old_log_prob[1] is nan, must be a number or -inf");
}

namespace {

constexpr double ratios[] = {0.5, 0.9, 1.0, 1.1, 1.5, 2.9, 3.1, 50};

}  // namespace

// thu-ml/tianshou 433 and verl-project/verl 784: on which side, and for which sign of the advantage, the second clip acts.
TEST_CASE_TEMPLATE("dual clip by the formula of its paper, and its gradient by finite differences", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const double clip = 0.2, bound = 3;
  test::token_batch<C> batch(16, 3);
  std::vector<T> old;
  for (std::size_t t = 0; t < 16; ++t) {
    const std::vector<T> row{T(0.3), T(-0.2), T(1.1)};
    std::copy(row.begin(), row.end(), batch.row(static_cast<index_t>(t)));
    batch.ids[t] = 2;
    batch.advantages[t] = t < 8 ? T(1) : T(-1);
    old.push_back(static_cast<T>(test::log_softmax(test::wide(row))[2] - std::log(static_cast<long double>(ratios[t % 8]))));
  }
  test::loaded_batch<C> loaded(batch);
  typename C::template array<T> old_values(old);
  policy_gradient(on, clipped_surrogate(clip, clip, {.dual_clip = bound}), loaded.without_base(),
                  infalign::token_data(loaded.advantages.span(), old_values.span()), {}, loaded.statistics(),
                  loaded.gradient());
  const auto loss = loaded.loss.host(), gradient = loaded.gradient_values.host();
  for (std::size_t t = 0; t < 16; ++t) {
    CAPTURE(t);
    const auto policy_loss = [&](long double log_prob) {
      const auto a = static_cast<long double>(batch.advantages[t]);
      const long double r = std::exp(log_prob - static_cast<long double>(old[t]));
      const long double clipped =
          std::min(r * a, std::clamp(r, 1 - static_cast<long double>(clip), 1 + static_cast<long double>(clip)) * a);
      return a < 0 ? -std::max(clipped, static_cast<long double>(bound) * a) : -clipped;
    };
    const auto row = test::wide(batch.row(static_cast<index_t>(t)), 3);
    const auto expected = static_cast<double>(policy_loss(test::log_softmax(row)[2]));
    CHECK(std::abs(static_cast<double>(loss[t]) - expected) <= 8 * epsilon<T> * std::abs(expected));
    const test::row_loss by_definition{policy_loss, {}, 2, 0, 0, 1};
    for (std::size_t j = 0; j < 3; ++j) {
      const auto slope = static_cast<double>(test::central_difference(by_definition, row, j));
      // A difference is off by 1e-10 relative to the loss.
      CHECK(std::abs(static_cast<double>(gradient[3 * t + j]) - slope) <= (8 * epsilon<T> + 1e-9) * (1 + std::abs(expected)));
    }
  }
}

// verl-project/verl 2775 and MakazhanAlpamys/Soup 723: the ratio of a response, its clip, and the share of each token, which is its weight:
// one over the length of its response.
TEST_CASE_TEMPLATE("GSPO by its formula, inside and outside the clip, and its gradient by finite differences", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const std::size_t first_of[] = {0, 3, 5};
  const test::token_batch<C> batch(5, 5, 3, 1);
  const auto v = static_cast<std::size_t>(batch.columns);
  const std::vector<T> advantages{T(1.3), T(-0.7)};
  std::vector<test::numbers> logits;
  for (std::size_t t = 0; t < 5; ++t) logits.push_back(test::wide(batch.logits.data() + t * v, batch.columns));
  for (const double shift : {0.0, 0.3, -0.3}) {  // the log of the ratio, but for a mean of 0.01 or so; the bounds are at ±0.1
    CAPTURE(shift);
    const double noise[] = {0.05, -0.03, -0.01, 0.04, -0.02};
    std::vector<T> old;
    for (std::size_t t = 0; t < 5; ++t)
      old.push_back(static_cast<T>(test::log_softmax(logits[t])[static_cast<std::size_t>(batch.ids[t])] -
                                   static_cast<long double>(shift + noise[t])));
    const auto total = [&](const std::vector<test::numbers>& at) {
      long double sum = 0;
      for (std::size_t r = 0; r < 2; ++r) {
        long double log_ratio = 0;
        for (std::size_t t = first_of[r]; t < first_of[r + 1]; ++t)
          log_ratio += test::log_softmax(at[t])[static_cast<std::size_t>(batch.ids[t])] - static_cast<long double>(old[t]);
        const long double s = std::exp(log_ratio / static_cast<long double>(first_of[r + 1] - first_of[r]));
        const auto a = static_cast<long double>(advantages[r]);
        sum -= std::min(s * a, std::clamp(s, 0.9L, 1.1L) * a);
      }
      return sum;
    };
    test::loaded_batch<C> loaded(batch);
    const std::vector<T> shares{T(1) / 3, T(1) / 3, T(1) / 3, T(0.5), T(0.5)};
    typename C::template array<T> advantage_values(advantages), old_values(old), weights(shares);
    typename C::template array<index_t> offsets(std::vector<index_t>{0, 3, 5});
    infalign::sequence_policy_gradient(
        on, infalign::gspo(0.1, 0.1), loaded.without_base(), offsets.span(),
        infalign::token_data(advantage_values.span(), old_values.span()).weighted_by(weights.span()), {}, loaded.statistics(),
        loaded.gradient());
    double sum = 0;
    for (std::size_t t = 0; t < 5; ++t) sum += static_cast<double>(shares[t] * loaded.loss.host()[t]);
    CHECK(std::abs(sum - static_cast<double>(total(logits))) <= 16 * epsilon<T>);
    const auto gradient = loaded.gradient_values.host();
    double worst = 0;
    for (std::size_t t = 0; t < 5; ++t)
      for (std::size_t j = 0; j < v; ++j) {
        auto above = logits, below = logits;
        above[t][j] += 1e-5L, below[t][j] -= 1e-5L;
        const auto slope = static_cast<double>((total(above) - total(below)) / 2e-5L);
        worst = test::larger(worst, std::abs(slope - static_cast<double>(gradient[t * v + j])));
      }
    CHECK(worst <= 16 * epsilon<T> + 1e-9);
  }
}

// huggingface/trl 6637: exponentials that overflow, here the ratio and k3 of a token whose old and base log-probabilities are far away.
TEST_CASE_TEMPLATE("ratios and KL estimates beyond what float holds give finite losses and gradients", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(2, 3);
  batch.logits = {0, -900, 0, 0, -900, 0};
  batch.base = {0, 1, 0, 0, 1, 0};
  batch.ids = {1, 0};
  batch.advantages = {1, -1};
  test::loaded_batch<C> loaded(batch);
  typename C::template array<T> old(std::vector<T>{T(-1), T(-900)});
  const auto loss = infalign::with_kl(clipped_surrogate(0.2, 0.2), {.beta = kl_weight(1)});
  policy_gradient(on, loss, loaded.with_base(), infalign::token_data(loaded.advantages.span(), old.span()), {},
                  loaded.statistics(), loaded.gradient());
  for (const T value : loaded.loss.host()) CHECK(static_cast<double>(value) == infalign::largest_loss);
  for (const T value : loaded.gradient_values.host()) CHECK(std::isfinite(value));
}

// A trainer has computed the base policy's log-probabilities beforehand, and has no base logits when the loss is taken.
TEST_CASE_TEMPLATE("a KL from base log-probabilities is that from base logits", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(5, 7);
  test::loaded_batch<C> loaded(batch);
  std::vector<T> of_tokens;
  for (std::size_t t = 0; t < 5; ++t) {
    const auto log_q = test::log_softmax(test::wide(batch.base_row(static_cast<index_t>(t)), 7));
    of_tokens.push_back(static_cast<T>(log_q[static_cast<std::size_t>(batch.ids[t])]));
  }
  typename C::template array<T> old(5, T(-1.5)), base(of_tokens), four(4, T(-1));
  const auto loss = infalign::with_kl(clipped_surrogate(0.2, 0.2), {.beta = kl_weight(0.5)});
  const infalign::token_data data(loaded.advantages.span(), old.span());
  const auto run = [&](const auto& logits, const auto& with) {
    policy_gradient(on, loss, logits, with, {}, loaded.statistics(), loaded.gradient());
    return loaded.gradient_values.host();
  };
  const auto from_logits = run(loaded.with_base(), data);
  const auto losses = loaded.loss.host();
  const auto from_log_probs = run(loaded.without_base(), data.with_base(base.span()));
  for (std::size_t i = 0; i < from_logits.size(); ++i)
    CHECK(std::abs(static_cast<double>(from_logits[i] - from_log_probs[i])) <= 64 * epsilon<T>);
  for (std::size_t t = 0; t < 5; ++t)
    CHECK(std::abs(static_cast<double>(losses[t] - loaded.loss.host()[t])) <= 64 * epsilon<T>);
  const auto message = [&](const auto& with) {
    return test::message_of<infalign::error>([&] { run(loaded.without_base(), with); });
  };
  CHECK(message(data) == "policy_gradient: loss needs base logits or base_log_prob");
  CHECK(message(data.with_base(four.span())) == "policy_gradient: base_log_prob has 4 values, but there are 5 tokens");
  typename C::template array<T> bad(std::vector<T>{T(-1), T(-1), std::numeric_limits<T>::quiet_NaN(), T(-1), T(-1)});
  CHECK(message(data.with_base(bad.span())) == "policy_gradient: base_log_prob[2] is nan, must be a number or -inf");
}

// alibaba/ROLL 444 and NovaSky-AI/SkyRL 462: padding in the loss. An advantage of 0 takes away the policy loss of a token and
// not its KL: rows of padding are left out of the batch, or given the policy's logits as their base.
TEST_CASE_TEMPLATE("padding: an advantage of 0 leaves the KL; ids of -100 are named", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const objective_weights with_kl{kl_weight(0.1)};
  test::token_batch<C> batch(4, 3);
  batch.logits = {1, 0, T(0.5), 9, -9, 0, T(0.2), T(0.4), 0, -5, 5, 0};
  batch.base = {T(0.5), 0, T(0.5), 0, 0, 0, 0, 0, 0, 0, 0, 0};
  batch.ids = {0, -100, 1, -100};
  batch.advantages = {1, 0, 1, 0};
  const auto gradient_of = [&](const objective_weights& weights) {
    test::loaded_batch<C> loaded(batch);
    policy_gradient(on, reinforce{}, loaded.with_base(), loaded.advantages.span(), weights, loaded.statistics(),
                    loaded.gradient());
    CHECK(loaded.loss.host()[1] == 0);
    CHECK(loaded.loss.host()[3] == 0);
    return loaded.gradient_values.host();
  };
  CHECK(test::message_of<infalign::domain_error>([&] { gradient_of(with_kl); }) ==
        "policy_gradient: tokens[1] is -100, must be in [0, 2]");
  batch.ids = {0, 0, 1, 0};
  const auto counted = gradient_of(with_kl);
  const auto only_loss = gradient_of({});
  for (std::size_t t = 0; t < 4; ++t) {
    const auto row = test::wide(batch.row(static_cast<index_t>(t)), 3);
    const auto a = static_cast<long double>(batch.advantages[t]);
    const test::row_loss loss{[a](long double log_prob) { return -a * log_prob; },
                              test::wide(batch.base_row(static_cast<index_t>(t)), 3),
                              static_cast<std::size_t>(batch.ids[t]),
                              0.1L,
                              0,
                              1};
    for (std::size_t j = 0; j < 3; ++j) {
      const auto slope = static_cast<double>(test::central_difference(loss, row, j));
      CHECK(std::abs(static_cast<double>(counted[3 * t + j]) - slope) <= 16 * epsilon<T> + 1e-9);
      if (a == 0) CHECK(only_loss[3 * t + j] == 0);
    }
  }
  CHECK(counted[3] > 0);  // the KL of the padding, 1.1 nats, pulls it to the base
  std::copy_n(batch.row(1), 3, batch.base_row(1));
  std::copy_n(batch.row(3), 3, batch.base_row(3));
  const auto ignored = gradient_of(with_kl);
  for (const std::size_t i : {3, 4, 5, 9, 10, 11}) CHECK(ignored[i] == 0);
  for (const std::size_t i : {0, 1, 2, 6, 7, 8}) CHECK(ignored[i] == counted[i]);
}

// huggingface/trl 3029, OpenRLHF/OpenRLHF 853 and 1319: log-probabilities at another temperature than the sampler's.
TEST_CASE_TEMPLATE("a temperature: logits divided by T, and the gradient by that scale", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const double temperature = 0.6;
  test::token_batch<C> batch(4, 6, 7);
  for (auto* values : {&batch.logits, &batch.base})
    for (T& l : *values) l /= static_cast<T>(temperature);
  test::loaded_batch<C> loaded(batch);
  const objective_weights weights{kl_weight(0.2), entropy_weight(0.1), 1 / temperature};
  policy_gradient(on, reinforce{}, loaded.with_base(), loaded.advantages.span(), weights, loaded.statistics(),
                  loaded.gradient());
  const auto gradient = loaded.gradient_values.host();
  for (std::size_t t = 0; t < 4; ++t) {
    const auto row = static_cast<index_t>(t);
    const auto token = static_cast<std::size_t>(batch.ids[t]);
    const auto a = static_cast<long double>(batch.advantages[t]);
    const auto minus_score = [a](long double log_prob) { return -a * log_prob; };
    const test::row_loss of_scaled{minus_score, test::wide(batch.base_row(row), 6), token, 0.2L, 0.1L, 1};
    // As a function of the logits before they were divided.
    const auto loss = [&](test::numbers unscaled) {
      for (long double& l : unscaled) l /= static_cast<long double>(temperature);
      return of_scaled(unscaled);
    };
    auto unscaled = test::wide(batch.row(row), 6);
    const auto log_prob = static_cast<double>(test::log_softmax(unscaled)[token]);
    CHECK(std::abs(static_cast<double>(loaded.log_prob.host()[t]) - log_prob) <= 16 * epsilon<T> * (1 + std::abs(log_prob)));
    for (long double& l : unscaled) l *= static_cast<long double>(temperature);
    for (std::size_t j = 0; j < 6; ++j) {
      const auto slope = static_cast<double>(test::central_difference(loss, unscaled, j));
      const double size =
          std::abs(static_cast<double>(a)) + 1 +
          std::abs(static_cast<double>(test::kl(test::wide(batch.row(row), 6), test::wide(batch.base_row(row), 6))));
      CHECK(std::abs(static_cast<double>(gradient[6 * t + j]) - slope) <= (32 * epsilon<T> + 1e-9) * size / temperature);
    }
  }
}
