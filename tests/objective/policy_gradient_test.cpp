// SPDX-License-Identifier: Apache-2.0
#include "infalign/objective/policy_gradient.hpp"
#include "infalign/objective/losses.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "logits/loss_by_definition.hpp"
#include "logits/token_batch.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::entropy_weight;
using infalign::index_t;
using infalign::infinity;
using infalign::kl_weight;
using infalign::objective_weights;
using infalign::policy_gradient;
using infalign::reinforce;
namespace test = infalign::test;

namespace {

const objective_weights all_terms{kl_weight(0.3), entropy_weight(0.2), 1.7};

/// A loss of a user: `-A·(log π)³`.
struct cubic {
  INFALIGN_HD infalign::loss_value operator()(const infalign::token_row& row) const {
    const double square = row.log_prob * row.log_prob;
    return {-row.advantage * square * row.log_prob, -3 * row.advantage * square};
  }
};

/// The library's gradient is that of the loss by definition: at every coordinate, or at the chosen ones. `policy_loss(t)` is
/// the loss of token t as a function of its log-probability.
template <class C, class PolicyLoss>
void check_gradient(test::token_batch<C>& batch, const std::vector<typename C::value>& gradient, bool with_base,
                    const objective_weights& weights, const PolicyLoss& policy_loss, std::vector<index_t> coordinates = {}) {
  if (coordinates.empty())
    for (index_t j = 0; j < batch.columns; ++j) coordinates.push_back(j);
  for (index_t t = 0; t < batch.tokens; ++t) {
    CAPTURE(t);
    const auto token = static_cast<std::size_t>(batch.ids[static_cast<std::size_t>(t)]);
    const auto row = test::wide(batch.row(t), batch.columns);
    const auto base = with_base ? test::wide(batch.base_row(t), batch.columns) : test::numbers{};
    const test::row_loss loss{policy_loss(t),
                              base,
                              token,
                              static_cast<long double>(weights.kl.value),
                              static_cast<long double>(weights.entropy.value),
                              static_cast<long double>(weights.scale)};
    std::set<index_t> places(coordinates.begin(), coordinates.end());
    places.insert(static_cast<index_t>(token));
    std::vector<std::pair<index_t, double>> expected;
    double largest = 0;
    for (const index_t j : places) {
      const bool masked = std::isinf(row[static_cast<std::size_t>(j)]);
      const auto slope = masked ? 0 : static_cast<double>(central_difference(loss, row, static_cast<std::size_t>(j)));
      expected.emplace_back(j, slope);
      largest = std::max(largest, std::abs(slope));
    }
    for (const auto& coordinate : expected) {
      const auto [j, slope] = coordinate;
      CAPTURE(coordinate.first);
      const auto actual = static_cast<double>(gradient[static_cast<std::size_t>(t * batch.columns + j)]);
      // Below the rounding of the finite difference, or of 1 - p, nothing can be told (a vocabulary of one has no gradient).
      const double floor = 1e-12 + std::numeric_limits<typename C::value>::epsilon();
      CHECK(std::abs(actual - slope) <= test::accuracy<typename C::value> * largest + floor);
      if (std::isinf(row[static_cast<std::size_t>(j)])) CHECK(actual == 0.0);
    }
  }
}

template <class C>
void check_reinforce(test::token_batch<C> batch, bool with_base, const objective_weights& weights,
                     const std::vector<index_t>& coordinates = {}) {
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> loaded(batch);
  policy_gradient(on, reinforce{}, with_base ? loaded.with_base() : loaded.without_base(), loaded.advantages.span(), weights,
                  loaded.statistics(), loaded.gradient());
  const auto policy_loss = [&](index_t t) {
    return [a = static_cast<long double>(batch.advantages[static_cast<std::size_t>(t)])](long double log_prob) {
      return -a * log_prob;
    };
  };
  check_gradient(batch, loaded.gradient_values.host(), with_base, weights, policy_loss, coordinates);
}

/// Old log-probabilities so that the ratios are on both sides of both bounds, for advantages of either sign.
template <class C>
std::vector<typename C::value> old_log_probs(test::token_batch<C>& batch) {
  std::vector<typename C::value> old;
  for (index_t t = 0; t < batch.tokens; ++t) {
    const double distance[] = {0.5, 0.05, -0.05, -0.5};
    const auto token = static_cast<std::size_t>(batch.ids[static_cast<std::size_t>(t)]);
    const auto log_prob = test::log_softmax(test::wide(batch.row(t), batch.columns))[token];
    old.push_back(static_cast<typename C::value>(log_prob + static_cast<long double>(distance[t % 4])));
    auto& advantage = batch.advantages[static_cast<std::size_t>(t)];
    advantage = t % 8 < 4 ? std::abs(advantage) : -std::abs(advantage);
  }
  return old;
}

template <class C>
void check_clipped(test::token_batch<C> batch, bool with_base, const objective_weights& weights,
                   const std::vector<index_t>& coordinates = {}) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto old = old_log_probs(batch);
  test::loaded_batch<C> loaded(batch);
  typename C::template array<T> old_values(old);
  const double low = 0.2, high = 0.3;
  policy_gradient(on, infalign::clipped_surrogate(low, high), with_base ? loaded.with_base() : loaded.without_base(),
                  infalign::token_data(loaded.advantages.span(), old_values.span()), weights, loaded.statistics(),
                  loaded.gradient());
  const auto policy_loss = [&](index_t t) {
    const auto i = static_cast<std::size_t>(t);
    return [=, a = static_cast<long double>(batch.advantages[i]), o = static_cast<long double>(old[i])](long double log_prob) {
      const long double ratio = std::exp(log_prob - o);
      return -std::min(ratio * a, std::clamp(ratio, 1 - static_cast<long double>(low), 1 + static_cast<long double>(high)) * a);
    };
  };
  check_gradient(batch, loaded.gradient_values.host(), with_base, weights, policy_loss, coordinates);
  const auto loss = loaded.loss.host(), log_prob = loaded.log_prob.host();
  for (index_t t = 0; t < batch.tokens; ++t) {
    const auto i = static_cast<std::size_t>(t);
    const auto expected = static_cast<double>(policy_loss(t)(static_cast<long double>(log_prob[i])));
    CHECK(std::abs(static_cast<double>(loss[i]) - expected) <= test::accuracy<T> * (1 + std::abs(expected)));
  }
}

template <class C>
std::vector<typename C::value> plain_gradient(const test::token_batch<C>& batch, const objective_weights& weights,
                                              bool with_base = true) {
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> loaded(batch);
  policy_gradient(on, reinforce{}, with_base ? loaded.with_base() : loaded.without_base(), loaded.advantages.span(), weights,
                  test::statistics_of<C>{}, loaded.gradient());
  return loaded.gradient_values.host();
}

}  // namespace

TEST_CASE_TEMPLATE("the gradient of REINFORCE equals finite differences", C, INFALIGN_CONFIGURATIONS) {
  for (const index_t v : test::small_vocabularies()) {
    CAPTURE(v);
    const test::token_batch<C> batch(4, v, static_cast<std::uint64_t>(v));
    check_reinforce(batch, false, {});
    check_reinforce(batch, true, {kl_weight(0.3)});
    check_reinforce(batch, false, {kl_weight(0), entropy_weight(0.2), -0.5});
    check_reinforce(batch, true, all_terms);
  }
}

TEST_CASE_TEMPLATE("the gradient of the clipped surrogate equals finite differences", C, INFALIGN_CONFIGURATIONS) {
  for (const index_t v : {2, 7, 16, 17, 33}) {
    CAPTURE(v);
    const test::token_batch<C> batch(8, v, static_cast<std::uint64_t>(v));
    check_clipped(batch, false, {});
    check_clipped(batch, true, all_terms);
  }
}

TEST_CASE_TEMPLATE("the gradient equals finite differences across chunks", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t v : test::large_vocabularies<C>()) {
    CAPTURE(v);
    test::token_batch<C> batch(2, v, static_cast<std::uint64_t>(v));
    for (index_t j = 0; j < v; ++j) {
      // Rising in one row, falling in the other, with a few logits that have most of the mass.
      const T slope = static_cast<T>(8.0 * static_cast<double>(j) / static_cast<double>(v));
      batch.row(0)[j] += slope;
      batch.row(1)[j] -= slope;
    }
    std::vector<index_t> places{0, 1, v / 2, v - 2, v - 1};
    for (const auto& [row, base] : {std::pair(batch.row(0), batch.base_row(0)), std::pair(batch.row(1), batch.base_row(1))})
      for (const index_t j : {index_t{0}, v / 2, v - 1}) row[j] = T(9), base[j] = T(7);
    check_reinforce(batch, true, all_terms, places);
    check_clipped(batch, false, {}, places);
  }
}

TEST_CASE_TEMPLATE("a user's own loss", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(3, 21);
  test::loaded_batch<C> loaded(batch);
  policy_gradient(on, cubic{}, loaded.with_base(), loaded.advantages.span(), all_terms, loaded.statistics(), loaded.gradient());
  const auto policy_loss = [&](index_t t) {
    return [a = static_cast<long double>(batch.advantages[static_cast<std::size_t>(t)])](long double log_prob) {
      return -a * log_prob * log_prob * log_prob;
    };
  };
  check_gradient(batch, loaded.gradient_values.host(), true, all_terms, policy_loss);
}

TEST_CASE_TEMPLATE("the statistics are those of the statistics pass", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(5, 77);
  test::loaded_batch<C> loaded(batch), pass(batch), some(batch);
  policy_gradient(on, reinforce{}, loaded.with_base(), loaded.advantages.span(), all_terms, loaded.statistics(),
                  loaded.gradient());
  compute_token_statistics(on, pass.with_base(), pass.statistics());
  CHECK(test::same_bits(loaded.log_prob.host(), pass.log_prob.host()));
  CHECK(test::same_bits(loaded.kl.host(), pass.kl.host()));
  CHECK(test::same_bits(loaded.entropy.host(), pass.entropy.host()));
  for (std::size_t t = 0; t < 5; ++t) {
    const double expected = -static_cast<double>(batch.advantages[t]) * static_cast<double>(loaded.log_prob.host()[t]);
    CHECK(std::abs(static_cast<double>(loaded.loss.host()[t]) - expected) <= test::accuracy<T> * std::abs(expected));
  }
  // Which statistics are asked for changes neither them nor the gradient.
  auto only_loss = some.statistics();
  only_loss.log_prob = only_loss.kl = only_loss.entropy = {};
  policy_gradient(on, reinforce{}, some.with_base(), some.advantages.span(), all_terms, only_loss, some.gradient());
  CHECK(test::same_bits(some.loss.host(), loaded.loss.host()));
  CHECK(test::same_bits(some.gradient_values.host(), loaded.gradient_values.host()));
  CHECK(some.kl.host() == std::vector<T>(5, T(-99)));
  CHECK(test::same_bits(plain_gradient(batch, all_terms), loaded.gradient_values.host()));
}

TEST_CASE_TEMPLATE("the gradient may replace the logits", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  for (const index_t v : {1, 5, 16, 37, 9001}) {
    const test::token_batch<C> batch(3, v);
    test::loaded_batch<C> separate(batch), over(batch);
    policy_gradient(on, reinforce{}, separate.with_base(), separate.advantages.span(), all_terms, separate.statistics(),
                    separate.gradient());
    policy_gradient(on, reinforce{}, over.with_base(), over.advantages.span(), all_terms, over.statistics(),
                    over.gradient_over_logits());
    CHECK(test::close(over.policy_values.host(), separate.gradient_values.host()));
    CHECK(test::same_bits(over.loss.host(), separate.loss.host()));
    CHECK(test::same_bits(over.kl.host(), separate.kl.host()));
    CHECK(test::same_bits(separate.policy_values.host(), batch.logits));
  }
}

TEST_CASE_TEMPLATE("logits, base and gradient may be strided and unaligned", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t v = 37;
  test::token_batch<C> batch(4, v);
  const auto expected = plain_gradient(batch, all_terms);
  const auto padded = [&](const std::vector<T>& values, index_t stride) {
    std::vector<T> result(static_cast<std::size_t>(4 * stride), test::not_a_number<T>);
    for (index_t t = 0; t < 4; ++t) std::copy_n(values.begin() + t * v, v, result.begin() + t * stride);
    return typename C::template array<T>(result);
  };
  auto logits = padded(batch.logits, 41), base = padded(batch.base, 39);
  typename C::template array<T> gradient(4 * 43, T(-99));
  test::loaded_batch<C> loaded(batch);
  policy_gradient(on, reinforce{}, test::logits_of<C>{logits.rows(4, v, 41), base.rows(4, v, 39), loaded.ids.span()},
                  loaded.advantages.span(), all_terms, loaded.statistics(), gradient.rows(4, v, 43));
  const auto written = gradient.host();
  for (index_t t = 0; t < 4; ++t)
    for (index_t j = 0; j < 43; ++j) {
      const T value = written[static_cast<std::size_t>(t * 43 + j)];
      CHECK(value == (j < v ? expected[static_cast<std::size_t>(t * v + j)] : T(-99)));
    }
}

TEST_CASE_TEMPLATE("masked tokens have no gradient and change no other", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t v : {3, 17, 33}) {
    test::token_batch<C> batch(3, v);
    for (index_t t = 0; t < 3; ++t)
      for (index_t j = 0; j < v; ++j)
        if (j != batch.ids[static_cast<std::size_t>(t)] && j % 3 == t) {
          batch.row(t)[j] = -infinity<T>;
          if (j % 2 == 0) batch.base_row(t)[j] = -infinity<T>;
        }
    check_reinforce(batch, false, {});
    check_reinforce(batch, true, all_terms);
    check_clipped(batch, true, all_terms);
  }
}

TEST_CASE_TEMPLATE("a sampled token that is masked", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(1, 6);
  batch.ids = {2};
  batch.advantages = {T(0.5)};
  batch.row(0)[2] = -infinity<T>;
  test::loaded_batch<C> loaded(batch);
  policy_gradient(on, reinforce{}, loaded.without_base(), loaded.advantages.span(), {}, loaded.statistics(), loaded.gradient());
  CHECK(loaded.log_prob.host()[0] == -infinity<T>);
  CHECK(loaded.loss.host()[0] == infinity<T>);
  // p·w - w·1{j = a}, with p of the token 0: as PyTorch's log_softmax has it.
  const auto gradient = loaded.gradient_values.host();
  CHECK(gradient[2] == T(-0.5));
  const auto log_p = test::log_softmax(test::wide(batch.logits));
  for (const std::size_t j : {0u, 1u, 3u, 4u, 5u})
    CHECK(std::abs(static_cast<double>(gradient[j]) - 0.5 * static_cast<double>(std::exp(log_p[j]))) <= test::accuracy<T>);
}

TEST_CASE_TEMPLATE("a constant added to the logits does not change the gradient", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  test::token_batch<C> batch(4, 100);
  for (auto* values : {&batch.logits, &batch.base})
    for (T& l : *values) l = std::round(l * 64) / 64;  // so that adding the constant is exact
  const auto expected = plain_gradient(batch, all_terms);
  for (const double offset : {1e4, -1e4}) {
    auto shifted = batch;
    for (T& l : shifted.logits) l += static_cast<T>(offset);
    for (T& l : shifted.base) l -= static_cast<T>(offset / 2);
    const auto gradient = plain_gradient(shifted, all_terms);
    for (std::size_t i = 0; i < gradient.size(); ++i)
      CHECK(std::abs(static_cast<double>(gradient[i]) - static_cast<double>(expected[i])) <= test::accuracy<T>);
  }
}

TEST_CASE_TEMPLATE("equal logits, and logits far apart", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  test::token_batch<C> batch(2, 10);
  batch.ids = {4, 4};
  batch.advantages = {T(1), T(1)};
  std::fill(batch.logits.begin(), batch.logits.end(), T(-3));
  for (index_t j = 0; j < 10; ++j) batch.row(1)[j] = j == 4 ? T(1e4) : T(-1e4);
  const auto gradient = plain_gradient(batch, {}, false);
  for (std::size_t j = 0; j < 10; ++j) {
    CHECK(static_cast<double>(gradient[j]) == doctest::Approx(j == 4 ? -0.9 : 0.1).epsilon(1e-6));
    CHECK(std::abs(gradient[10 + j]) <= std::numeric_limits<T>::epsilon());
  }
}

TEST_CASE_TEMPLATE("without KL weight the base does not enter the gradient", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(3, 40);
  const objective_weights no_kl{kl_weight(0), entropy_weight(0.1), 2.0};
  const auto expected = plain_gradient(batch, no_kl, false);
  CHECK(test::close(plain_gradient(batch, no_kl, true), expected));
  // Nor where the KL is infinite, though it is reported; with KL weight the gradient of that row, and of no other, is NaN.
  batch.base_row(1)[7] = -infinity<T>;
  test::loaded_batch<C> loaded(batch);
  policy_gradient(on, reinforce{}, loaded.with_base(), loaded.advantages.span(), no_kl, loaded.statistics(), loaded.gradient());
  CHECK(test::close(loaded.gradient_values.host(), expected));
  CHECK(loaded.kl.host()[1] == infinity<T>);
  const auto with_kl = plain_gradient(batch, all_terms);
  for (std::size_t j = 0; j < 40; ++j) {
    CHECK(std::isfinite(with_kl[j]));
    CHECK(!std::isfinite(with_kl[40 + j]));
    CHECK(std::isfinite(with_kl[80 + j]));
  }
}

TEST_CASE_TEMPLATE("NaN logits spoil their row alone, and all of it", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t v : {3, 16, 40, 9000})
    for (const index_t place : {index_t{0}, v - 1})
      for (const auto& [weights, with_base] : {std::pair(objective_weights{}, false), std::pair(all_terms, true),
                                               std::pair(objective_weights{kl_weight(0), entropy_weight(1)}, false)}) {
        CAPTURE(v);
        test::token_batch<C> batch(3, v);
        const auto clean = plain_gradient(batch, weights, with_base);
        batch.row(1)[place] = test::not_a_number<T>;
        const auto gradient = plain_gradient(batch, weights, with_base);
        const auto row = [v](const std::vector<T>& all, index_t t) {
          return std::vector<T>(all.begin() + t * v, all.begin() + (t + 1) * v);
        };
        CHECK(test::same_bits(row(gradient, 0), row(clean, 0)));
        CHECK(test::same_bits(row(gradient, 2), row(clean, 2)));
        const auto spoilt = row(gradient, 1);
        CHECK(std::all_of(spoilt.begin(), spoilt.end(), [](T g) { return std::isnan(g); }));
      }
}

TEST_CASE_TEMPLATE("the gradient of 16-bit logits is rounded once", C, INFALIGN_CONFIGURATIONS) {
  if constexpr (std::is_same_v<typename C::value, float>) {
    using space = typename C::backend::memory_space;
    typename C::backend on = C::make_backend();
    const auto check = [&]<class Storage>(Storage) {
      test::token_batch<C> batch(3, 37);
      std::vector<Storage> policy, base;
      for (float& l : batch.logits) policy.emplace_back(l), l = policy.back();
      for (float& l : batch.base) base.emplace_back(l), l = base.back();
      const auto wide = plain_gradient(batch, all_terms);
      typename C::template array<Storage> stored(policy), stored_base(base);
      test::loaded_batch<C> loaded(batch);
      policy_gradient(on, reinforce{},
                      infalign::token_logits<Storage, space>{stored.rows(3, 37), stored_base.rows(3, 37), loaded.ids.span()},
                      loaded.advantages.span(), all_terms, loaded.statistics(), stored.rows(3, 37));
      const auto narrow = stored.host();
      for (std::size_t i = 0; i < wide.size(); ++i)
        CHECK(static_cast<float>(narrow[i]) == static_cast<float>(Storage(wide[i])));
    };
    check(infalign::bfloat16{});
    check(infalign::half{});
  }
}

TEST_CASE_TEMPLATE("no tokens are an ordinary input, whatever the weights", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(0, 7);
  test::loaded_batch<C> loaded(batch);
  CHECK_NOTHROW(policy_gradient(on, reinforce{}, loaded.with_base(), loaded.advantages.span(), all_terms, loaded.statistics(),
                                loaded.gradient()));
  CHECK_NOTHROW(policy_gradient(on, reinforce{}, loaded.without_base(), loaded.advantages.span(), {}, loaded.statistics(),
                                loaded.gradient()));
}

TEST_CASE_TEMPLATE("a base of no rows is none, whatever its stride", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  using space = typename C::backend::memory_space;
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(3, 7);
  test::loaded_batch<C> loaded(batch);
  auto logits = loaded.without_base();
  logits.base = infalign::rows<const T, space>(nullptr, 0, 7);
  policy_gradient(on, reinforce{}, logits, loaded.advantages.span(), {}, loaded.statistics(), loaded.gradient());
  CHECK(test::same_bits(loaded.gradient_values.host(), plain_gradient(batch, {}, false)));
}

TEST_CASE_TEMPLATE("bad input is named, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(3, 5);
  test::loaded_batch<C> loaded(batch);
  const auto call = [&](const auto& logits, const auto& advantages, const objective_weights& weights, const auto& statistics,
                        const auto& gradient) {
    return test::message_of<infalign::error>(
        [&] { policy_gradient(on, reinforce{}, logits, advantages, weights, statistics, gradient); });
  };
  const auto logits = loaded.with_base();
  const auto advantages = loaded.advantages.span();
  const auto statistics = loaded.statistics();
  const auto gradient = loaded.gradient();

  test::loaded_batch<C> bad(batch);
  bad.ids = typename C::template array<std::int32_t>(std::vector<std::int32_t>{0, 4, 5});
  CHECK(call(bad.with_base(), advantages, {}, statistics, gradient) == "policy_gradient: tokens[2] is 5, must be in [0, 4]");
  CHECK(call(loaded.without_base(), advantages, {kl_weight(0.5)}, statistics, gradient) ==
        "policy_gradient: weights.kl is 0.5, needs base logits");
  CHECK(call(logits, advantages, {kl_weight(0), entropy_weight(0), infinity<double>}, statistics, gradient) ==
        "policy_gradient: weights.scale is inf, must be finite");
  CHECK(call(logits, infalign::span<T, typename C::backend::memory_space>(advantages.data(), 2), {}, statistics, gradient) ==
        "policy_gradient: advantages has 2 values, but there are 3 tokens");
  CHECK(call(logits, advantages, {}, statistics, loaded.gradient_values.rows(3, 4)) ==
        "policy_gradient: gradient is 3 x 4, but logits is 3 x 5");
  CHECK(call(logits, advantages, {}, statistics, loaded.gradient_values.rows(2, 5)) ==
        "policy_gradient: gradient is 2 x 5, but logits is 3 x 5");
  CHECK(call(logits, advantages, {}, statistics, loaded.gradient_values.rows(3, 5, 4)) ==
        "policy_gradient: gradient has stride 4, less than its 5 columns");
  auto short_entropy = statistics;
  short_entropy.entropy = {short_entropy.entropy.data(), 1};
  CHECK(call(logits, advantages, {}, short_entropy, gradient) ==
        "policy_gradient: statistics.entropy has 1 values, but there are 3 tokens");
  typename C::template array<T> bad_advantages(std::vector<T>{0, infinity<T>, 0});
  CHECK(call(logits, bad_advantages.span(), {}, statistics, gradient) ==
        "policy_gradient: advantages[1] is inf, must be finite");
  CHECK(loaded.gradient_values.host() == std::vector<T>(15, T(-99)));
  for (const auto& values : {loaded.loss.host(), loaded.log_prob.host(), loaded.kl.host(), loaded.entropy.host()})
    CHECK(values == std::vector<T>(3, T(-99)));
}

TEST_CASE_TEMPLATE("a clipped surrogate needs an old log-probability for every token", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(3, 5);
  test::loaded_batch<C> loaded(batch);
  typename C::template array<T> old(std::vector<T>{-1, -2});
  CHECK(test::message_of<infalign::shape_error>([&] {
          policy_gradient(on, infalign::clipped_surrogate(0.2, 0.2), loaded.with_base(),
                          infalign::token_data(loaded.advantages.span(), old.span()), {}, loaded.statistics(),
                          loaded.gradient());
        }) == "policy_gradient: old_log_prob has 2 values, but there are 3 tokens");
  CHECK(test::message_of<infalign::shape_error>([&] {
          policy_gradient(on, infalign::clipped_surrogate(0.2, 0.2), loaded.with_base(), loaded.advantages.span(), {},
                          loaded.statistics(), loaded.gradient());
        }) == "policy_gradient: old_log_prob has 0 values, but there are 3 tokens");
  CHECK(loaded.gradient_values.host() == std::vector<T>(15, T(-99)));
}

TEST_CASE_TEMPLATE("exponentials of a chunk that the rest of the row leaves far below are not used", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t v = test::large_vocabularies<C>().back();
  test::token_batch<C> batch(2, v);
  // The shift of the first chunk is of no use for the last columns, which lie 60 above it.
  for (index_t t = 0; t < 2; ++t)
    for (index_t j = v - 5; j < v; ++j) batch.row(t)[j] += T(60);
  test::loaded_batch<C> loaded(batch);
  policy_gradient(on, reinforce{}, loaded.without_base(), loaded.advantages.span(), {}, loaded.statistics(), loaded.gradient());
  const auto gradient = loaded.gradient_values.host();
  for (std::size_t t = 0; t < 2; ++t) {
    const auto advantage = static_cast<double>(batch.advantages[t]);
    const auto log_p = test::log_softmax(test::wide(batch.row(static_cast<index_t>(t)), v));
    double worst = 0;
    for (std::size_t j = 0; j < log_p.size(); ++j) {
      const bool sampled = j == static_cast<std::size_t>(batch.ids[t]);
      const double expected = advantage * (static_cast<double>(std::exp(log_p[j])) - (sampled ? 1 : 0));
      worst = test::larger(worst, std::abs(static_cast<double>(gradient[t * static_cast<std::size_t>(v) + j]) - expected));
    }
    CHECK(worst <= test::accuracy<T> * std::abs(advantage));
  }
}
