// SPDX-License-Identifier: Apache-2.0
/// The objectives against PyTorch's automatic differentiation of the same losses.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "infalign/objective/losses.hpp"
#include "infalign/objective/policy_gradient.hpp"
#include "infalign/objective/sequence_policy_gradient.hpp"
#include "logits/token_batch.hpp"
#include "objective/autograd_reference.hpp"
#include "support/configurations.hpp"

namespace test = infalign::test;
namespace autograd = infalign::test::autograd;
using infalign::entropy_weight;
using infalign::kl_weight;
using infalign::objective_weights;

namespace {

template <class C>
test::token_batch<C> reference_batch() {
  using T = typename C::value;
  test::token_batch<C> batch(autograd::tokens, autograd::columns);
  batch.logits.assign(autograd::logits.begin(), autograd::logits.end());
  batch.base.assign(autograd::base.begin(), autograd::base.end());
  batch.ids = autograd::ids;
  batch.advantages = std::vector<T>(autograd::advantages.begin(), autograd::advantages.end());
  return batch;
}

/// 1e-5 in float, 1e-12 in double, of the largest value.
template <class T>
void check_close(const std::vector<T>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  double largest = 0;
  for (const double e : expected) largest = std::max(largest, std::abs(e));
  const double allowed = (std::is_same_v<T, float> ? 1e-5 : 1e-12) * largest;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(static_cast<double>(actual[i]) - expected[i]) <= allowed);
  }
}

const kl_weight beta(autograd::beta);
const entropy_weight eta(autograd::eta);

}  // namespace

TEST_CASE_TEMPLATE("REINFORCE equals PyTorch", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  const auto run = [&](bool with_base, const objective_weights& weights, const std::vector<double>& expected) {
    test::loaded_batch<C> batch(reference_batch<C>());
    policy_gradient(on, infalign::reinforce{}, with_base ? batch.with_base() : batch.without_base(), batch.advantages.span(),
                    weights, batch.statistics(), batch.gradient());
    check_close(batch.gradient_values.host(), expected);
    check_close(batch.log_prob.host(), autograd::log_prob);
    check_close(batch.entropy.host(), autograd::entropy);
    if (with_base) check_close(batch.kl.host(), autograd::kl);
  };
  run(false, {}, autograd::reinforce);
  run(true, {}, autograd::reinforce);
  run(true, {beta}, autograd::reinforce_kl);
  run(false, {kl_weight(0), eta}, autograd::reinforce_entropy);
  run(true, {beta, eta, autograd::scale}, autograd::reinforce_all);
}

TEST_CASE_TEMPLATE("REINFORCE of capped and scaled logits equals PyTorch", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> batch(reference_batch<C>());
  policy_gradient(on, infalign::reinforce{}, batch.with_base().scaled(1 / autograd::temperature).soft_capped(autograd::cap),
                  batch.advantages.span(), {beta, eta, autograd::scale}, batch.statistics(), batch.gradient());
  check_close(batch.gradient_values.host(), autograd::mapped_all);
}

TEST_CASE_TEMPLATE("REINFORCE among the ids that a sampler kept equals PyTorch", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> batch(reference_batch<C>());
  typename C::template array<std::int64_t> ids(autograd::kept_ids);
  typename C::template array<infalign::index_t> offsets(autograd::kept_offsets);
  policy_gradient(on, infalign::reinforce{}, batch.with_base().keeping(ids.span(), offsets.span()), batch.advantages.span(),
                  {beta, eta, autograd::scale}, batch.statistics(), batch.gradient());
  check_close(batch.gradient_values.host(), autograd::kept_all);
}

TEST_CASE_TEMPLATE("the clipped surrogate equals PyTorch", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> batch(reference_batch<C>());
  typename C::template array<T> old(std::vector<T>(autograd::old_log_prob.begin(), autograd::old_log_prob.end()));
  const infalign::clipped_surrogate loss(autograd::clip_low, autograd::clip_high);
  policy_gradient(on, loss, batch.with_base(), infalign::token_data(batch.advantages.span(), old.span()),
                  {beta, eta, autograd::scale}, batch.statistics(), batch.gradient());
  check_close(batch.gradient_values.host(), autograd::clipped_all);
}

TEST_CASE_TEMPLATE("the sequence gradient equals PyTorch", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> batch(reference_batch<C>());
  typename C::template array<infalign::index_t> offsets(
      std::vector<infalign::index_t>(autograd::rollout_offsets.begin(), autograd::rollout_offsets.end()));
  typename C::template array<T> advantages(
      std::vector<T>(autograd::rollout_advantages.begin(), autograd::rollout_advantages.end()));
  sequence_policy_gradient(on, batch.with_base(), offsets.span(), advantages.span(), {beta, eta, autograd::scale},
                           batch.statistics(), batch.gradient());
  check_close(batch.gradient_values.host(), autograd::sequence_all);
  check_close(batch.kl.host(), autograd::kl);
}
