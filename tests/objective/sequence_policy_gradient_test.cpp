// SPDX-License-Identifier: Apache-2.0
#include "infalign/objective/sequence_policy_gradient.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
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
using infalign::sequence_policy_gradient;
namespace test = infalign::test;

namespace {

const objective_weights sequence_terms{kl_weight(0.3), entropy_weight(0.2), 1.7};

/// The sequence gradient of a batch cut into rollouts.
template <class C>
void run(test::loaded_batch<C>& batch, const std::vector<index_t>& offsets, const std::vector<typename C::value>& advantages,
         const objective_weights& weights, bool with_base = true) {
  typename C::backend on = C::make_backend();
  typename C::template array<index_t> cuts(offsets);
  typename C::template array<typename C::value> a(advantages);
  sequence_policy_gradient(on, with_base ? batch.with_base() : batch.without_base(), cuts.span(), a.span(), weights,
                           batch.statistics(), batch.gradient());
}

/// A language model small enough to enumerate: 3 tokens, of which 0 ends the response, at most 3 of them. A prefix is its tokens
/// read as a number in base 3 with a leading 1.
constexpr int vocabulary = 3;
constexpr std::size_t longest = 3;
using tokens = std::vector<std::int32_t>;

std::vector<tokens> all_responses() {
  std::vector<tokens> complete, open{{}};
  while (!open.empty()) {
    std::vector<tokens> longer;
    for (const auto& prefix : open)
      for (std::int32_t token = 0; token < vocabulary; ++token) {
        auto next = prefix;
        next.push_back(token);
        (token == 0 || next.size() == longest ? complete : longer).push_back(next);
      }
    open = longer;
  }
  return complete;
}

int prefix_id(const tokens& response, std::size_t length) {
  int id = 1;
  for (std::size_t i = 0; i < length; ++i) id = id * vocabulary + response[i];
  return id;
}

using language_model = std::map<int, test::numbers>;  ///< logits of the next token by prefix

template <class T>
language_model random_model(std::uint64_t seed) {
  language_model model;
  for (const auto& response : all_responses())
    for (std::size_t t = 0; t < response.size(); ++t) {
      const int id = prefix_id(response, t);
      model[id] = test::wide(test::normal_values<T>(vocabulary, seed + static_cast<std::uint64_t>(id)));
    }
  return model;
}

long double log_prob(const language_model& model, const tokens& response) {
  long double sum = 0;
  for (std::size_t t = 0; t < response.size(); ++t)
    sum += test::log_softmax(model.at(prefix_id(response, t)))[static_cast<std::size_t>(response[t])];
  return sum;
}

/// What the response is worth: anything that does not split over its tokens.
long double reward(const tokens& response) {
  return std::sin(static_cast<long double>(prefix_id(response, response.size())));
}

/// `E Σ_t c_t·(log π(a_t) - log π₀(a_t))`, which is `E Σ_t c_t·KL_t`, where `c_t` depends on the place in the response.
long double weighted_kl(const language_model& policy, const language_model& base, const std::vector<double>& weights) {
  long double sum = 0;
  for (const auto& response : all_responses()) {
    long double of_response = 0;
    for (std::size_t t = 0; t < response.size(); ++t) {
      const auto log_of = [&](const language_model& model) {
        return test::log_softmax(model.at(prefix_id(response, t)))[static_cast<std::size_t>(response[t])];
      };
      of_response += static_cast<long double>(weights[t]) * (log_of(policy) - log_of(base));
    }
    sum += std::exp(log_prob(policy, response)) * of_response;
  }
  return sum;
}

/// `-E[reward] + β·KL(π‖π₀)`, the KL that of whole responses: `Σ_y π(y)·(log π(y) - log π₀(y))`.
long double exact_objective(const language_model& policy, const language_model& base, long double beta) {
  long double sum = 0;
  for (const auto& response : all_responses()) {
    const long double log_p = log_prob(policy, response);
    sum += std::exp(log_p) * (-reward(response) + beta * (log_p - log_prob(base, response)));
  }
  return sum;
}

/// Every response as a rollout, in one batch.
template <class C>
struct every_response {
  std::vector<tokens> responses = all_responses();
  std::vector<index_t> offsets{0};
  std::vector<int> prefixes;
  test::token_batch<C> batch{0, vocabulary};

  every_response(const language_model& policy, const language_model& base) {
    for (const auto& response : responses) {
      for (std::size_t t = 0; t < response.size(); ++t) {
        prefixes.push_back(prefix_id(response, t));
        for (const long double l : policy.at(prefixes.back())) batch.logits.push_back(static_cast<typename C::value>(l));
        for (const long double l : base.at(prefixes.back())) batch.base.push_back(static_cast<typename C::value>(l));
        batch.ids.push_back(response[t]);
      }
      offsets.push_back(static_cast<index_t>(batch.ids.size()));
    }
    batch.tokens = offsets.back();
  }
  /// `Σ_y π(y)·gradient(y)`, by prefix.
  [[nodiscard]] std::map<int, test::numbers> expectation(const std::vector<typename C::value>& gradient,
                                                         const language_model& policy) const {
    std::map<int, test::numbers> sum;
    for (std::size_t r = 0; r < responses.size(); ++r) {
      const long double p = std::exp(log_prob(policy, responses[r]));
      for (auto t = static_cast<std::size_t>(offsets[r]); t < static_cast<std::size_t>(offsets[r + 1]); ++t) {
        auto& at = sum.try_emplace(prefixes[t], test::numbers(vocabulary, 0.0L)).first->second;
        for (std::size_t j = 0; j < vocabulary; ++j) at[j] += p * static_cast<long double>(gradient[t * vocabulary + j]);
      }
    }
    return sum;
  }
};

/// Largest distance between an expected gradient and finite differences of the exact objective, and the largest of the latter.
struct distance {
  double largest_error = 0;
  double largest_slope = 0;
};
template <class Objective>
distance from_exact(const std::map<int, test::numbers>& gradient, const language_model& policy, const Objective& of) {
  distance d;
  for (const auto& [id, row] : policy)
    for (std::size_t j = 0; j < vocabulary; ++j) {
      const auto objective = [&, id = id](const test::numbers& logits) {
        auto moved = policy;
        moved[id] = logits;
        return of(moved);
      };
      const auto slope = static_cast<double>(test::central_difference(objective, row, j));
      d.largest_error = std::max(d.largest_error, std::abs(static_cast<double>(gradient.at(id)[j]) - slope));
      d.largest_slope = std::max(d.largest_slope, std::abs(slope));
    }
  return d;
}
distance from_exact(const std::map<int, test::numbers>& gradient, const language_model& policy, const language_model& base,
                    long double beta) {
  return from_exact(gradient, policy, [&](const language_model& moved) { return exact_objective(moved, base, beta); });
}

}  // namespace

TEST_CASE_TEMPLATE("over all responses, the expected gradient is that of the sequence objective", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto policy = random_model<T>(10), base = random_model<T>(900);
  every_response<C> all(policy, base);
  REQUIRE(all.responses.size() == 1 + 2 + 12);  // ended by 0 at once, after one token, or of full length
  for (const double beta : {0.0, 0.7}) {
    std::vector<T> advantages, of_tokens;
    for (const auto& response : all.responses) {
      advantages.push_back(static_cast<T>(reward(response)));
      of_tokens.insert(of_tokens.end(), response.size(), advantages.back());
    }
    test::loaded_batch<C> batch(all.batch);
    run(batch, all.offsets, advantages, {kl_weight(beta)});
    const auto exact =
        from_exact(all.expectation(batch.gradient_values.host(), policy), policy, base, static_cast<long double>(beta));
    CHECK(exact.largest_error <= test::accuracy<T> * exact.largest_slope);

    // Token by token, the KL of the later tokens is missing, and the gradient is another.
    typename C::template array<T> a(of_tokens);
    policy_gradient(on, infalign::reinforce{}, batch.with_base(), a.span(), {kl_weight(beta)}, batch.statistics(),
                    batch.gradient());
    const auto biased =
        from_exact(all.expectation(batch.gradient_values.host(), policy), policy, base, static_cast<long double>(beta));
    CHECK((biased.largest_error > 0.01 * biased.largest_slope) == (beta > 0));
  }
}

TEST_CASE_TEMPLATE("with weights of tokens, the expected gradient is that of the weighted KL", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto policy = random_model<T>(10), base = random_model<T>(900);
  every_response<C> all(policy, base);
  const std::vector<double> of_place{0.5, 2, 0.25};
  std::vector<double> weights;
  for (const auto& response : all.responses)
    weights.insert(weights.end(), of_place.begin(), of_place.begin() + static_cast<std::ptrdiff_t>(response.size()));
  test::loaded_batch<C> batch(all.batch);
  typename C::template array<index_t> cuts(all.offsets);
  typename C::template array<double> w(weights);
  typename C::template array<T> nothing(static_cast<index_t>(all.responses.size()), T(0));
  sequence_policy_gradient(on, batch.with_base(), cuts.span(), infalign::token_data(nothing.span()).weighted_by(w.span()),
                           {kl_weight(1)}, batch.statistics(), batch.gradient());
  const auto exact = from_exact(all.expectation(batch.gradient_values.host(), policy), policy,
                                [&](const language_model& moved) { return weighted_kl(moved, base, of_place); });
  CHECK(exact.largest_error <= test::accuracy<T> * exact.largest_slope);
}

TEST_CASE_TEMPLATE("the gradient equals finite differences with the later KL held fixed", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const std::vector<index_t> offsets{0, 0, 3, 4, 4, 9, 9};
  const auto advantages = test::normal_values<T>(6, 8);
  for (const index_t v : {1, 2, 7, 16, 17, 33, 40}) {
    test::token_batch<C> batch(9, v, static_cast<std::uint64_t>(v));
    for (const bool with_base : {false, true}) {
      const objective_weights weights{kl_weight(with_base ? 0.3 : 0), entropy_weight(0.2), 1.7};
      test::loaded_batch<C> loaded(batch);
      run(loaded, offsets, advantages, weights, with_base);
      const auto gradient = loaded.gradient_values.host();
      const auto beta = static_cast<long double>(weights.kl.value);
      for (std::size_t r = 0; r < 6; ++r)
        for (index_t t = offsets[r]; t < offsets[r + 1]; ++t) {
          long double later_kl = 0;
          for (index_t s = t + 1; s < offsets[r + 1]; ++s)
            later_kl += test::kl(test::wide(batch.row(s), v), test::wide(batch.base_row(s), v));
          const long double score = static_cast<long double>(advantages[r]) - beta * later_kl;
          const auto policy_loss = [score](long double log_p) { return -score * log_p; };
          const auto token = static_cast<std::size_t>(batch.ids[static_cast<std::size_t>(t)]);
          const auto row = test::wide(batch.row(t), v);
          const test::row_loss loss{policy_loss, test::wide(batch.base_row(t), v), token, beta, 0.2L, 1.7L};
          std::vector<double> expected;
          for (std::size_t j = 0; j < row.size(); ++j)
            expected.push_back(static_cast<double>(test::central_difference(loss, row, j)));
          double largest = 0;
          for (const double e : expected) largest = std::max(largest, std::abs(e));
          for (std::size_t j = 0; j < row.size(); ++j)
            CHECK(std::abs(static_cast<double>(gradient[static_cast<std::size_t>(t * v) + j]) - expected[j]) <=
                  test::accuracy<T> * largest + 1e-12);
        }
    }
  }
}

TEST_CASE_TEMPLATE("responses of one token are REINFORCE", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(4, 35);
  test::loaded_batch<C> sequence(batch), token(batch);
  run(sequence, {0, 1, 2, 3, 4}, batch.advantages, sequence_terms);
  policy_gradient(on, infalign::reinforce{}, token.with_base(), token.advantages.span(), sequence_terms, token.statistics(),
                  token.gradient());
  CHECK(test::close(sequence.gradient_values.host(), token.gradient_values.host()));
  CHECK(test::same_bits(sequence.loss.host(), token.loss.host()));
  CHECK(test::same_bits(sequence.kl.host(), token.kl.host()));
  CHECK(test::same_bits(sequence.log_prob.host(), token.log_prob.host()));
  CHECK(test::same_bits(sequence.entropy.host(), token.entropy.host()));
}

TEST_CASE_TEMPLATE("the gradient may replace the logits, and statistics may be left out", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(5, 37);
  const std::vector<T> advantages{T(0.5), T(-1)};
  test::loaded_batch<C> separate(batch), over(batch);
  run(separate, {0, 3, 5}, advantages, sequence_terms);
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 3, 5});
  typename C::template array<T> a(advantages);
  sequence_policy_gradient(on, over.with_base(), offsets.span(), a.span(), sequence_terms, test::statistics_of<C>{},
                           over.gradient_over_logits());
  CHECK(test::same_bits(over.policy_values.host(), separate.gradient_values.host()));
  for (std::size_t t = 0; t < 5; ++t) {
    const double expected = -static_cast<double>(advantages[t < 3 ? 0 : 1]) * static_cast<double>(separate.log_prob.host()[t]);
    CHECK(static_cast<double>(separate.loss.host()[t]) == doctest::Approx(expected).epsilon(test::accuracy<T>));
  }
}

TEST_CASE_TEMPLATE("without KL weight an infinite KL does no harm", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  test::token_batch<C> batch(3, 9);
  test::loaded_batch<C> clean(batch);
  run(clean, {0, 3}, {T(1.5)}, {});
  batch.base_row(2)[4] = -infinity<T>;
  test::loaded_batch<C> masked(batch);
  run(masked, {0, 3}, {T(1.5)}, {});
  CHECK(test::same_bits(masked.gradient_values.host(), clean.gradient_values.host()));
  CHECK(masked.kl.host()[2] == infinity<T>);
}

TEST_CASE_TEMPLATE("NaN logits spoil their rollout alone", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const index_t v = 19;
  test::token_batch<C> batch(6, v);
  const std::vector<index_t> offsets{0, 2, 5, 6};
  const std::vector<T> advantages{T(1), T(-1), T(0.5)};
  test::loaded_batch<C> clean(batch);
  run(clean, offsets, advantages, sequence_terms);
  batch.row(3)[7] = test::not_a_number<T>;
  test::loaded_batch<C> spoilt(batch);
  run(spoilt, offsets, advantages, sequence_terms);
  for (index_t i = 0; i < 6 * v; ++i) {
    const T gradient = spoilt.gradient_values.host()[static_cast<std::size_t>(i)];
    // Rows 2 and 3: the token itself and the one before it, which answers for the KL of what follows.
    if (i / v == 2 || i / v == 3)
      CHECK(std::isnan(gradient));
    else
      CHECK(gradient == clean.gradient_values.host()[static_cast<std::size_t>(i)]);
  }
}

TEST_CASE_TEMPLATE("no tokens and empty rollouts are ordinary inputs", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const test::token_batch<C> none(0, 7);
  test::loaded_batch<C> batch(none);
  CHECK_NOTHROW(run(batch, {}, {}, sequence_terms));
  CHECK_NOTHROW(run(batch, {0}, {}, sequence_terms));
  CHECK_NOTHROW(run(batch, {0, 0, 0}, {T(1), T(2)}, sequence_terms));
}

TEST_CASE_TEMPLATE("bad input is named, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  test::token_batch<C> batch(3, 5);
  test::loaded_batch<C> loaded(batch);
  const auto call = [&](const std::vector<index_t>& offsets, const std::vector<T>& advantages,
                        const objective_weights& weights = {}, bool with_base = true) {
    return test::message_of<infalign::error>([&] { run(loaded, offsets, advantages, weights, with_base); });
  };
  CHECK(call({0, 2, 3}, {1}) == "sequence_policy_gradient: advantages has 1 values, but there are 2 rollouts");
  CHECK(call({0, 3}, {test::not_a_number<T>}) == "sequence_policy_gradient: advantages[0] is nan, must be finite");
  CHECK(call({}, {}) == "sequence_policy_gradient: rollout_offsets is empty, but there are 3 tokens");
  CHECK(call({1, 3}, {1}) == "sequence_policy_gradient: rollout_offsets[0] is 1, must be 0");
  CHECK(call({0, 2}, {1}) == "sequence_policy_gradient: rollout_offsets[1] is 2, but there are 3 values");
  CHECK(call({0, 2, 1, 3}, {1, 1, 1}) ==
        "sequence_policy_gradient: rollout_offsets[2] is 1, less than the offset before it, 2");
  CHECK(call({0, 3}, {1}, {kl_weight(0.25)}, false) == "sequence_policy_gradient: weights.kl is 0.25, needs base logits");
  batch.ids[1] = -3;
  test::loaded_batch<C> bad(batch);
  CHECK(test::message_of<infalign::domain_error>([&] {
          run(bad, {0, 3}, {1}, {});
        }) == "sequence_policy_gradient: tokens[1] is -3, must be in [0, 4]");
  for (const auto* used : {&loaded, &bad}) {
    CHECK(used->gradient_values.host() == std::vector<T>(15, T(-99)));
    for (const auto& values : {used->loss.host(), used->log_prob.host(), used->kl.host(), used->entropy.host()})
      CHECK(values == std::vector<T>(3, T(-99)));
  }
}
