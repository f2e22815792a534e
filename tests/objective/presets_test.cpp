// SPDX-License-Identifier: Apache-2.0
/// The presets against the trainers' own functions: see make_trainer_values.py. One line per loss, and what they differ in.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/backend/scalar.hpp"
#include "infalign/objective/advantage/leave_one_out.hpp"
#include "infalign/objective/advantage/mean_centred.hpp"
#include "infalign/objective/preference_losses.hpp"
#include "infalign/objective/presets/liger.hpp"
#include "infalign/objective/presets/openrlhf.hpp"
#include "infalign/objective/presets/trl.hpp"
#include "infalign/objective/presets/verl.hpp"
#include "objective/loss_table.hpp"
#include "objective/trainer_values.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::kl_weight;
using infalign::rows;
using infalign::presets::averaging;
namespace liger = infalign::presets::liger;
namespace openrlhf = infalign::presets::openrlhf;
namespace trl = infalign::presets::trl;
namespace verl = infalign::presets::verl;
namespace test = infalign::test;
namespace trainers = infalign::test::trainers;

namespace {

struct total {
  double value = 0;
  std::vector<double> gradient = std::vector<double>(trainers::mask.size(), 0.0);
};

/// The loss of the batch and its derivatives by all log-probabilities: what `sequence_policy_gradient` tells the loss of the tokens of each
/// response, times the weights of the average.
template <class Loss>
total loss_of_batch(const Loss& loss, const averaging& by) {
  infalign::scalar on;
  const rows<const double> mask(trainers::mask.data(), trainers::responses, trainers::length);
  std::vector<double> weights(trainers::mask.size());
  averaged_weights(on, mask, by, count_responses(on, mask),
                   rows<double>(weights.data(), trainers::responses, trainers::length));
  total sum;
  for (std::size_t r = 0; r < trainers::responses; ++r) {
    test::response y{{}, {}, {}, trainers::advantages[r]};
    std::vector<std::size_t> places;
    for (std::size_t i = r * trainers::length; i < (r + 1) * trainers::length; ++i) {
      if (trainers::mask[i] == 0) continue;
      y.log_prob.push_back(trainers::log_prob[i]);
      y.old_log_prob.push_back(trainers::old_log_prob[i]);
      y.base_log_prob.push_back(trainers::base_log_prob[i]);
      places.push_back(i);
    }
    const auto tokens = test::rows_of(loss, y);
    for (std::size_t t = 0; t < places.size(); ++t) {
      const infalign::loss_value v = loss(tokens[t]);
      sum.value += weights[places[t]] * v.value;
      sum.gradient[places[t]] += weights[places[t]] * v.by_log_prob;
    }
  }
  return sum;
}

struct preset {
  std::string name;
  total found;
  double tolerance = 1e-13;  ///< relative to a number, or to 1, which is the size of the terms
};

/// verl and OpenRLHF divide by counts plus 1e-8, of at least 1 token.
constexpr double by_count_plus_epsilon = 2e-8;
/// The same in an exponent: verl's mean of log-ratios, of up to 27 here.
constexpr double by_mean_of_logs = 27 * 1e-8;
/// TRL's temperatures become float, 1.05 as well, in `torch.where` of two numbers.
constexpr double temperature_in_float = 1e-7;
/// OpenRLHF takes estimates of the KL in float: its exponentials are rounded to 2⁻²⁴.
constexpr double in_float = 4 * 6e-8;

std::vector<preset> every_preset() {
  using trl::loss_type;
  using verl::loss_agg_mode;
  const auto grpo = trl::average(loss_type::grpo), dapo = trl::average(loss_type::dapo);
  const auto dr_grpo = trl::average(loss_type::dr_grpo, trainers::responses, 10);
  const auto verl_mean = verl::average(loss_agg_mode::token_mean);
  const auto verl_means = verl::average(loss_agg_mode::seq_mean_token_mean);
  const auto kl3 = infalign::kl_estimator::k3;
  return {
      {"trl grpo", loss_of_batch(with_kl(trl::grpo(), trl::kl(0.25)), grpo)},
      {"trl grpo without bias correction", loss_of_batch(with_kl(trl::grpo(), trl::kl(0.25, false)), grpo)},
      {"trl bnpo", loss_of_batch(trl::grpo(), trl::average(loss_type::bnpo))},
      {"trl dr_grpo", loss_of_batch(trl::grpo(), dr_grpo)},
      {"trl dapo with delta", loss_of_batch(trl::grpo(0.2, 0.2, 1.5), dapo)},
      {"trl gspo", loss_of_batch(trl::gspo(), grpo)},
      {"trl luspo", loss_of_batch(trl::gspo(), trl::average(loss_type::luspo))},
      {"trl cispo", loss_of_batch(trl::cispo(), trl::average(loss_type::cispo))},
      {"trl sapo", loss_of_batch(trl::sapo(), trl::average(loss_type::sapo)), temperature_in_float},
      {"trl vespo", loss_of_batch(trl::vespo(), trl::average(loss_type::vespo))},
      {"trl rloo", loss_of_batch(trl::rloo(), grpo)},
      {"liger grpo", loss_of_batch(with_kl(liger::grpo(), liger::kl()), grpo)},
      {"liger dapo", loss_of_batch(with_kl(liger::grpo(), liger::kl()), liger::average(loss_type::dapo))},
      {"liger dapo with bias correction", loss_of_batch(with_kl(liger::grpo(), liger::kl(0.04, true)), dapo)},
      {"liger bnpo", loss_of_batch(liger::grpo(), liger::average(loss_type::bnpo))},
      {"liger dr_grpo", loss_of_batch(liger::grpo(), dr_grpo)},
      {"liger gspo", loss_of_batch(liger::gspo(), grpo)},
      {"liger luspo", loss_of_batch(liger::gspo(), liger::average(loss_type::luspo))},
      {"liger cispo", loss_of_batch(liger::cispo(), dapo)},
      {"liger sapo", loss_of_batch(liger::sapo(), liger::average(loss_type::sapo))},
      {"liger vespo", loss_of_batch(liger::vespo(), dapo)},
      {"verl vanilla", loss_of_batch(verl::vanilla(0.2, 0.28), verl_mean), by_count_plus_epsilon},
      {"verl vanilla, sums", loss_of_batch(with_kl(verl::vanilla(0.2, 0.28), verl::kl(verl::k1(), 0.25)),
                                           verl::average(loss_agg_mode::seq_mean_token_sum))},
      {"verl vanilla, means", loss_of_batch(with_kl(verl::vanilla(0.2, 0.28), verl::kl(verl::k3(), 0.25)), verl_means),
       by_count_plus_epsilon},
      {"verl vanilla, norm", loss_of_batch(with_kl(verl::vanilla(0.2, 0.28), verl::kl(verl::k2(), 0.25)),
                                           verl::average(loss_agg_mode::seq_mean_token_sum_norm, trainers::length))},
      {"verl vanilla, k3+", loss_of_batch(with_kl(verl::vanilla(0.2, 0.28), verl::kl(verl::k3(), 0.25, true)), verl_mean)},
      {"verl vanilla, abs", loss_of_batch(with_kl(verl::vanilla(0.2, 0.28), verl::kl(verl::abs(), 0.25)), verl_mean)},
      {"verl gspo", loss_of_batch(verl::gspo(0.2, 0.28), verl_means), by_count_plus_epsilon},
      {"verl sapo", loss_of_batch(verl::sapo(), verl_means), by_count_plus_epsilon},
      {"verl geo_mean", loss_of_batch(verl::geo_mean(0.2, 0.28), verl::average_of_geo_mean()), by_mean_of_logs},
      {"verl cispo", loss_of_batch(verl::cispo(0.2, 0.28), verl_mean)},
      {"openrlhf ppo", loss_of_batch(openrlhf::ppo(0.2, 0.28), openrlhf::average())},
      {"openrlhf ppo, means",
       loss_of_batch(with_kl(openrlhf::ppo(0.2, 0.28), openrlhf::kl(infalign::kl_estimator::k2, 0.25)),
                     openrlhf::average(false)),
       in_float},
      {"openrlhf ppo, dual clip",
       loss_of_batch(with_kl(openrlhf::ppo(0.2, 0.28, 3), openrlhf::kl(infalign::kl_estimator::k1, 0.25)), openrlhf::average()),
       in_float},
      {"openrlhf ppo, k3", loss_of_batch(with_kl(openrlhf::ppo(0.2, 0.28), openrlhf::kl(kl3, 0.25)), openrlhf::average()),
       in_float},
      {"openrlhf gspo", loss_of_batch(openrlhf::gspo(0.2, 0.28), openrlhf::average(false)), by_count_plus_epsilon},
  };
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double v : values) most = std::max(most, std::abs(v));
  return most;
}

}  // namespace

TEST_CASE("every preset has the loss and the gradient of its trainer's own function") {
  const auto presets = every_preset();
  REQUIRE(presets.size() == trainers::losses.size());
  for (std::size_t k = 0; k < presets.size(); ++k) {
    const preset& p = presets[k];
    const trainers::known_loss& expected = trainers::losses[k];
    CAPTURE(p.name);
    REQUIRE(p.name == expected.name);
    CHECK(std::abs(p.found.value - expected.value) <= p.tolerance * (1 + std::abs(expected.value)));
    for (std::size_t i = 0; i < expected.gradient.size(); ++i) {
      CAPTURE(i);
      const double size = 1 + std::abs(expected.gradient[i]);
      CHECK(std::abs(p.found.gradient[i] - expected.gradient[i]) <= p.tolerance * size);
    }
  }
}

TEST_CASE("presets of advantages have the values of the trainers' functions") {
  infalign::scalar on;
  const rows<const double> rewards(trainers::rewards.data(), 3, 3);
  std::vector<double> found(9);
  const rows<double> out(found.data(), 3, 3);
  const auto check = [&](const std::string& name, double tolerance) {
    const auto known = std::find_if(trainers::group_advantages.begin(), trainers::group_advantages.end(),
                                    [&](const auto& k) { return k.name == name; });
    REQUIRE(known != trainers::group_advantages.end());
    for (std::size_t i = 0; i < known->values.size(); ++i) CHECK(std::abs(found[i] - known->values[i]) <= tolerance);
  };
  group_normalized_advantage(on, rewards, out, verl::advantage());
  check("verl grpo", 1e-9);  // rewards of 1e6, of which 16 digits are held
  mean_centred_advantage(on, rewards, out, verl::unscaled_advantage());
  check("verl dr_grpo", 1e-9);
  leave_one_out_advantage(on, rewards, out, verl::unscaled_advantage());
  check("verl rloo", 1e-9);
  whiten(on, rows<const double>(trainers::rewards.data(), 1, 6), rows<double>(found.data(), 1, 6), verl::whitened());
  check("verl whitened", 3e-8);  // of verl's mean and variance the counts are 1e-8 too large
}

TEST_CASE("presets of preference losses have the values of the trainers' functions") {
  infalign::scalar on;
  std::vector<double> log_prob, base;
  for (const std::size_t of : {0U, 1U}) {
    log_prob.insert(log_prob.end(), trainers::log_probs[of].begin(), trainers::log_probs[of].end());
    base.insert(base.end(), trainers::log_probs[of + 2].begin(), trainers::log_probs[of + 2].end());
  }
  const std::vector<infalign::response_pair> pairs{{0, 3}, {1, 4}, {2, 5}};
  std::size_t k = 0;
  const auto check = [&](const std::string& name, const auto& loss) {
    const trainers::known_loss& expected = trainers::preferences[k++];
    CAPTURE(name);
    REQUIRE(name == expected.name);
    std::vector<double> losses(3), slopes(6);
    infalign::preference_losses(on, loss, infalign::response_log_probs(log_prob).with_base(base), pairs, 1.0 / 3,
                                infalign::preference_statistics<double>{.loss = losses}, infalign::span<double>(slopes));
    CHECK(std::abs((losses[0] + losses[1] + losses[2]) / 3 - expected.value) <= 1e-14 * std::abs(expected.value));
    for (std::size_t i = 0; i < 6; ++i) CHECK(std::abs(slopes[i] - expected.gradient[i]) <= 1e-14 * largest(expected.gradient));
  };
  check("openrlhf dpo", openrlhf::dpo(0.25));
  check("openrlhf dpo with label smoothing", openrlhf::dpo(0.25, 0.125));
  check("openrlhf ipo", openrlhf::ipo(0.25));
  check("liger dpo", liger::dpo(0.25));
}

TEST_CASE("the defaults of presets are those of the trainers") {
  // TRL: `epsilon_high` is `epsilon` unless given. Liger: each has a default of its own.
  CHECK(trl::grpo().epsilon_high == 0.2);
  CHECK(trl::grpo(0.1).epsilon_low == 0.1);
  CHECK(trl::grpo(0.1).epsilon_high == 0.1);
  CHECK(trl::gspo(3e-4).epsilon_high == 3e-4);
  CHECK(trl::rloo(0.1).epsilon_high == 0.1);
  CHECK(trl::grpo(0.2, 0.28).epsilon_high == 0.28);
  CHECK(liger::grpo(0.1).epsilon_low == 0.1);
  CHECK(liger::grpo(0.1).epsilon_high == 0.2);
  CHECK(liger::gspo(0.1).epsilon_high == 0.2);
}

TEST_CASE("an average that lacks its number is an error") {
  CHECK(test::message_of<infalign::domain_error>([] { (void)trl::average(trl::loss_type::dr_grpo); }) ==
        "trl::average: responses times max_completion_length is 0, must be positive for dr_grpo");
  CHECK(test::message_of<infalign::domain_error>([] { (void)verl::average(verl::loss_agg_mode::seq_mean_token_sum_norm); }) ==
        "verl::average: loss_scale_factor is 0, must be positive for seq_mean_token_sum_norm");
}
