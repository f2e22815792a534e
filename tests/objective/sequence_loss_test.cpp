// SPDX-License-Identifier: Apache-2.0
/// Any loss in the sequence form: what it is told of its rollout, and that its derivatives become the gradient.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "infalign/objective/losses.hpp"
#include "infalign/objective/sequence_policy_gradient.hpp"
#include "logits/loss_by_definition.hpp"
#include "logits/token_batch.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::loss_value;
using infalign::token_row;
namespace test = infalign::test;

namespace {

/// A loss of a user's own that uses everything of the rollout: GSPO (Zheng et al., arXiv 2507.18071), unclipped, with a penalty on KL²
/// and on the entropy. Of the loss of a response each of its tokens carries the same part.
struct sequence_ratio_loss {
  static constexpr bool needs_old_log_prob = true;
  static constexpr bool needs_base = true;
  static constexpr bool needs_entropy = true;
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    using std::exp;
    const auto n = static_cast<double>(row.sequence_length);
    const double ratio = exp(row.sequence_log_ratio);
    return {-ratio * row.advantage / n + 0.25 * row.kl * row.kl + 0.1 * row.entropy * row.log_prob,
            -ratio * row.advantage / n + 0.1 * row.entropy, 0.5 * row.kl, 0.1 * row.log_prob};
  }
};

/// Notes what it is told, as values.
struct sequence_number {
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    return {1000.0 * static_cast<double>(row.sequence) + 10.0 * static_cast<double>(row.sequence_length) +
            static_cast<double>(row.position)};
  }
};

/// Asks for the mean of a term of its own, and the base policy's log-probability.
struct mean_position {
  INFALIGN_HD double sequence_term(const token_row& row) const { return static_cast<double>(row.position); }
  INFALIGN_HD loss_value operator()(const token_row& row) const { return {row.sequence_term + row.base_log_prob}; }
};

}  // namespace

TEST_CASE_TEMPLATE("a loss of whole responses: the gradient equals finite differences of its definition", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t tokens = 5, v = 6;
  const std::vector<index_t> offsets{0, 2, 2, 5};
  const test::token_batch<C> batch(tokens, v);
  test::loaded_batch<C> loaded(batch);
  const std::vector<T> advantages{T(1.5), T(3), T(-0.75)}, old{T(-2), T(-1.5), T(-1), T(-2.5), T(-3)};
  typename C::template array<T> advantage_values(advantages), old_values(old);
  typename C::template array<index_t> bounds(offsets);
  infalign::sequence_policy_gradient(on, sequence_ratio_loss{}, loaded.with_base(), bounds.span(),
                                     infalign::token_data(advantage_values.span(), old_values.span()), {.scale = 0.5},
                                     loaded.statistics(), loaded.gradient());
  const auto total = [&](const std::vector<test::numbers>& logits) {
    long double sum = 0;
    for (std::size_t r = 0; r + 1 < offsets.size(); ++r) {
      const auto first = static_cast<std::size_t>(offsets[r]), last = static_cast<std::size_t>(offsets[r + 1]);
      long double log_ratio = 0;
      for (std::size_t t = first; t < last; ++t) {
        const long double log_prob = test::log_softmax(logits[t])[static_cast<std::size_t>(batch.ids[t])];
        log_ratio += (log_prob - static_cast<long double>(old[t])) / static_cast<long double>(last - first);
        const auto base = test::wide(batch.base.data() + static_cast<index_t>(t) * v, v);
        sum += 0.25L * std::pow(test::kl(logits[t], base), 2.0L) + 0.1L * test::entropy(logits[t]) * log_prob;
      }
      if (last > first) sum -= std::exp(log_ratio) * static_cast<long double>(advantages[r]);
    }
    return 0.5L * sum;
  };
  std::vector<test::numbers> logits;
  for (index_t t = 0; t < tokens; ++t) logits.push_back(test::wide(batch.logits.data() + t * v, v));
  const auto gradient = loaded.gradient_values.host();
  double worst = 0;
  for (std::size_t t = 0; t < logits.size(); ++t)
    for (std::size_t j = 0; j < logits[t].size(); ++j) {
      auto up = logits, down = logits;
      const long double h = 1e-6L;
      up[t][j] += h, down[t][j] -= h;
      const auto slope = static_cast<double>((total(up) - total(down)) / (2 * h));
      worst = test::larger(worst, std::abs(slope - static_cast<double>(gradient[t * static_cast<std::size_t>(v) + j])));
    }
  CHECK(worst <= test::accuracy<T>);
}

TEST_CASE_TEMPLATE("a loss is told its rollout, the length of that, its position, and the mean of its own term", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(4, 3);
  test::loaded_batch<C> loaded(batch);
  typename C::template array<T> advantages(std::vector<T>{1, 2});
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 1, 4});
  infalign::sequence_policy_gradient(on, sequence_number{}, loaded.with_base(), offsets.span(), advantages.span(), {},
                                     loaded.statistics(), loaded.gradient());
  CHECK(loaded.loss.host() == std::vector<T>{10, 1031, 1032, 1033});
  infalign::policy_gradient(on, sequence_number{}, loaded.with_base(), loaded.advantages.span(), {}, loaded.statistics(),
                            loaded.gradient());
  CHECK(loaded.loss.host() == std::vector<T>{10, 1011, 2012, 3013});
  CHECK(loaded.gradient_values.host() == std::vector<T>(12, T(0)));  // it depends on nothing
  typename C::template array<T> base(std::vector<T>{-8, -16, -24, -32});
  infalign::sequence_policy_gradient(on, mean_position{}, loaded.without_base(), offsets.span(),
                                     infalign::token_data(advantages.span()).with_base(base.span()), {}, loaded.statistics(),
                                     loaded.gradient());
  CHECK(loaded.loss.host() == std::vector<T>{-8, -14, -22, -30});
}

TEST_CASE_TEMPLATE("what a loss needs is asked for", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(4, 3);
  test::loaded_batch<C> loaded(batch);
  typename C::template array<T> advantages(std::vector<T>{1, 2}), old(4, T(-1));
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 1, 4});
  const auto message = [&](const auto& logits, const auto& data) {
    return test::message_of<infalign::error>([&] {
      infalign::sequence_policy_gradient(on, sequence_ratio_loss{}, logits, offsets.span(), data, {}, loaded.statistics(),
                                         loaded.gradient());
    });
  };
  CHECK(message(loaded.with_base(), advantages.span()) ==
        "sequence_policy_gradient: old_log_prob has 0 values, but there are 4 tokens");
  CHECK(message(loaded.without_base(), infalign::token_data(advantages.span(), old.span())) ==
        "sequence_policy_gradient: loss needs base logits");
}
