// SPDX-License-Identifier: Apache-2.0
#include "infalign/logits/logit_map.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "infalign/objective/loss/reinforce.hpp"
#include "infalign/objective/policy_gradient.hpp"
#include "infalign/objective/sequence_policy_gradient.hpp"
#include "logits/loss_by_definition.hpp"
#include "logits/token_batch.hpp"
#include "support/configurations.hpp"

using infalign::index_t;
using infalign::infinity;
using infalign::logit_map;
namespace test = infalign::test;

namespace {

const std::vector<logit_map> maps{{.scale = 1.6}, {.scale = 0.4}, {.cap = 3}, {.scale = 0.7, .cap = 1.5}};

/// The map by its definition.
test::numbers mapped(const logit_map& map, test::numbers logits) {
  const long double cap = map.cap;
  for (long double& l : logits) l = map.scale * (map.cap < infinity<double> ? cap * std::tanh(l / cap) : l);
  return logits;
}

template <class Loss>
struct of_mapped {
  logit_map map;
  Loss loss;
  long double operator()(const test::numbers& logits) const { return loss(mapped(map, logits)); }
};
template <class Loss>
of_mapped(logit_map, Loss) -> of_mapped<Loss>;

/// Up to `allowed`.
template <class T>
bool within(const std::vector<T>& a, const std::vector<T>& b, double allowed) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])) <= allowed)) return false;
  return true;
}

}  // namespace

TEST_CASE("a soft cap and its slope are those of tanh, at any size") {
  for (const double cap : {0.5, 30.0}) {
    const infalign::detail::soft_cap<true, double> of(cap);
    const infalign::detail::soft_cap<true, float> narrow(cap);
    for (double x = 1e-12; x < 40; x *= 1.07)
      for (const double l : {x * cap, -x * cap}) {
        const double expected = cap * std::tanh(l / cap);
        CHECK(std::abs(of(l) - expected) <= 1e-15 * std::abs(expected));
        CHECK(std::abs(static_cast<double>(narrow(static_cast<float>(l))) - expected) <= 5e-7 * std::abs(expected));
        const double slope = 1 / (std::cosh(x) * std::cosh(x));
        CHECK(std::abs(of.times_slope(2, l) - 2 * slope) <= 1e-13 * slope);  // of e^-2x, the error grows with x
      }
    CHECK(of(0) == 0);
    CHECK(of(infinity<double>) == infinity<double>);
    CHECK(of(-infinity<double>) == -infinity<double>);
    CHECK(of.times_slope(0, -infinity<double>) == 0);
    CHECK(std::isnan(of(std::numeric_limits<double>::quiet_NaN())));
  }
}

TEST_CASE_TEMPLATE("mapped logits have the statistics and the gradient of their definition", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const logit_map& map : maps)
    for (const index_t v : {1, 19}) {
      test::token_batch<C> batch(3, v);
      test::loaded_batch<C> loaded(batch), in_place(batch);
      auto logits = loaded.with_base(), replaced = in_place.with_base();
      logits.map = replaced.map = map;
      policy_gradient(on, infalign::reinforce{}, logits, loaded.advantages.span(), test::all_weights, loaded.statistics(),
                      loaded.gradient());
      policy_gradient(on, infalign::reinforce{}, replaced, in_place.advantages.span(), test::all_weights, in_place.statistics(),
                      in_place.gradient_over_logits());
      CHECK(in_place.policy_values.host() == loaded.gradient_values.host());
      std::vector<T> gradient, log_prob, kl, entropy;
      for (index_t t = 0; t < 3; ++t) {
        const auto i = static_cast<std::size_t>(t);
        const auto token = static_cast<std::size_t>(batch.ids[i]);
        const test::numbers row = test::wide(batch.row(t), v), base = mapped(map, test::wide(batch.base_row(t), v));
        const long double advantage = static_cast<long double>(batch.advantages[i]);
        const auto score = [advantage](long double lp) { return -advantage * lp; };
        const of_mapped loss{map, test::row_loss{score, base, token, 0.3L, 0.05L, 0.5L}};
        for (std::size_t j = 0; j < row.size(); ++j) gradient.push_back(static_cast<T>(test::central_difference(loss, row, j)));
        log_prob.push_back(static_cast<T>(test::log_softmax(mapped(map, row))[token]));
        kl.push_back(static_cast<T>(test::kl(mapped(map, row), base)));
        entropy.push_back(static_cast<T>(test::entropy(mapped(map, row))));
      }
      if (v == 1) {
        CHECK(within(loaded.gradient_values.host(), gradient, test::accuracy<T>));  // 0, by a difference of numbers near 1
        continue;
      }
      CHECK(test::close(loaded.gradient_values.host(), gradient));
      CHECK(test::close(loaded.log_prob.host(), log_prob));
      CHECK(test::close(loaded.kl.host(), kl));
      CHECK(test::close(loaded.entropy.host(), entropy));
    }
}

// TRL 3029, OpenRLHF 1319: what was sampled at a temperature has the log-probabilities of that temperature.
TEST_CASE_TEMPLATE("a temperature is that of logits divided beforehand, in every pass", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t tokens = 4, v = 9001;
  const test::token_batch<C> batch(tokens, v);
  test::token_batch<C> divided = batch;
  for (T& l : divided.logits) l /= T(2);
  for (T& l : divided.base) l /= T(2);
  test::loaded_batch<C> ours(batch), theirs(divided);
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 3, 4});
  typename C::template array<T> advantages(std::vector<T>{T(1.5), T(-0.5)});
  const auto run = [&](auto& loaded, const auto& logits) {
    sequence_policy_gradient(on, logits, offsets.span(), advantages.span(), test::all_weights, loaded.statistics(),
                             loaded.gradient());
  };
  run(ours, ours.with_base().scaled(0.5));
  run(theirs, theirs.with_base());
  std::vector<T> expected = theirs.gradient_values.host();
  for (T& g : expected) g /= T(2);
  CHECK(test::close(ours.gradient_values.host(), expected));
  CHECK(test::close(ours.log_prob.host(), theirs.log_prob.host()));
  CHECK(test::close(ours.kl.host(), theirs.kl.host()));
  CHECK(test::close(ours.entropy.host(), theirs.entropy.host()));
}

TEST_CASE_TEMPLATE("offsets of the rows change nothing, also where logits are scaled", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const double offset = sizeof(T) == 8 ? 1e15 : 1e6;  // there neighbours are 1/8 and 1/16 apart
  test::token_batch<C> batch(3, 5001);
  for (auto* const values : {&batch.logits, &batch.base})
    for (T& l : *values) l = std::round(l * T(8)) / T(8);
  test::token_batch<C> moved = batch;
  for (T& l : moved.logits) l += static_cast<T>(offset);
  for (T& l : moved.base) l -= static_cast<T>(0.5 * offset);
  test::loaded_batch<C> at_zero(batch), far(moved);
  for (auto* const loaded : {&at_zero, &far})
    policy_gradient(on, infalign::reinforce{}, loaded->with_base().scaled(1 / 0.7), loaded->advantages.span(),
                    test::all_weights, loaded->statistics(), loaded->gradient());
  const double allowed = sizeof(T) == 8 ? 1e-12 : 2e-5;
  CHECK(within(far.gradient_values.host(), at_zero.gradient_values.host(), allowed));
  CHECK(within(far.log_prob.host(), at_zero.log_prob.host(), allowed));
  CHECK(within(far.kl.host(), at_zero.kl.host(), allowed));
  CHECK(within(far.entropy.host(), at_zero.entropy.host(), allowed));
}

TEST_CASE_TEMPLATE("logits of 16 bits are mapped as they are, and gradients of 16 bits rounded once", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  using space = typename C::backend::memory_space;
  using infalign::bfloat16;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(3, 37);
  std::vector<bfloat16> logits, base;
  for (T& l : batch.logits)
    logits.push_back(bfloat16(static_cast<float>(l))), l = static_cast<T>(static_cast<float>(logits.back()));
  for (T& l : batch.base) base.push_back(bfloat16(static_cast<float>(l))), l = static_cast<T>(static_cast<float>(base.back()));
  test::loaded_batch<C> wide(batch), narrow(batch);
  typename C::template array<bfloat16> stored(logits), stored_base(base), gradient(index_t{3 * 37});
  policy_gradient(on, infalign::reinforce{}, wide.with_base().scaled(0.8).soft_capped(2), wide.advantages.span(),
                  test::all_weights, wide.statistics(), wide.gradient());
  policy_gradient(on, infalign::reinforce{},
                  infalign::token_logits<bfloat16, space>{stored.rows(3, 37), stored_base.rows(3, 37), narrow.ids.span()}
                      .scaled(0.8)
                      .soft_capped(2),
                  narrow.advantages.span(), test::all_weights, narrow.statistics(), gradient.rows(3, 37));
  CHECK(within(narrow.log_prob.host(), wide.log_prob.host(), 1e-5));
  CHECK(within(narrow.kl.host(), wide.kl.host(), 1e-5));
  const auto found = gradient.host();
  const std::vector<T> expected = wide.gradient_values.host();
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK(std::abs(static_cast<double>(static_cast<float>(found[i])) - static_cast<double>(expected[i])) <=
          0x1p-8 * std::abs(static_cast<double>(expected[i])) + 1e-6);
}

TEST_CASE_TEMPLATE("a capped row keeps its masks, and NaN stays in its row", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(2, 9);
  batch.ids = {1, 1};
  batch.logits[4] = -infinity<T>;
  batch.logits[9 + 4] = test::not_a_number<T>;
  test::token_batch<C> without = batch;
  test::loaded_batch<C> loaded(batch);
  policy_gradient(on, infalign::reinforce{}, loaded.without_base().scaled(2).soft_capped(1), loaded.advantages.span(),
                  {.entropy = infalign::entropy_weight(0.1)}, loaded.statistics(), loaded.gradient());
  const auto gradient = loaded.gradient_values.host();
  test::numbers kept = test::wide(batch.row(0), 9);
  kept.erase(kept.begin() + 4);
  CHECK(static_cast<double>(loaded.log_prob.host()[0]) ==
        doctest::Approx(static_cast<double>(test::log_softmax(mapped({2, 1}, kept))[1])).epsilon(1e-6));
  CHECK(gradient[4] == 0);
  for (std::size_t j = 0; j < 9; ++j) {
    CHECK(std::isfinite(gradient[j]));
    CHECK(std::isnan(gradient[9 + j]));
  }
}

TEST_CASE_TEMPLATE("a near-certain token of a capped row has no probability above 1", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  const index_t tokens = 64;
  test::token_batch<C> batch(tokens, 3);
  for (index_t t = 0; t < tokens; ++t) {
    batch.ids[static_cast<std::size_t>(t)] = 1;
    batch.row(t)[0] = batch.row(t)[2] = -200;
    batch.row(t)[1] = static_cast<typename C::value>(11 + 0.37 * static_cast<double>(t));
  }
  test::loaded_batch<C> loaded(batch);
  compute_token_statistics(on, loaded.without_base().soft_capped(30), loaded.statistics());
  for (const auto log_prob : loaded.log_prob.host()) CHECK(log_prob <= 0);
}

TEST_CASE_TEMPLATE("a scale or a cap that is none is refused", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> loaded(test::token_batch<C>(2, 3));
  const auto message = [&](const auto& logits) {
    return test::message_of<infalign::domain_error>([&] { compute_token_statistics(on, logits, loaded.statistics()); });
  };
  const std::string scale = "compute_token_statistics: the scale of the logits is ";
  const std::string cap = "compute_token_statistics: the soft cap of the logits is ";
  CHECK(message(loaded.without_base().scaled(0)) == scale + "0, must be positive and finite");
  CHECK(message(loaded.without_base().scaled(infinity<double>)) == scale + "inf, must be positive and finite");
  CHECK(message(loaded.without_base().soft_capped(-30)) == cap + "-30, must be positive");
  CHECK(message(loaded.without_base().soft_capped(std::nan(""))) == cap + "nan, must be positive");
}
