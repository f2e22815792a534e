// SPDX-License-Identifier: Apache-2.0
#include "losses.hpp"

#include <infalign/objective/presets/liger.hpp>
#include <infalign/objective/presets/openrlhf.hpp>
#include <infalign/objective/presets/trl.hpp>
#include <infalign/objective/presets/verl.hpp>

#include "tensors.hpp"

namespace infalign_python {

namespace {

constexpr auto by_tokens = ia::aggregation::token_mean;
constexpr auto by_responses = ia::aggregation::sequence_mean_of_token_means;

// What a loss of the library is made from, so that the sources for each instruction set can make it again.
named_loss of(const ia::reinforce&) {
  return {.kind = loss_kind::reinforce};
}
named_loss of(const ia::clipped_surrogate& l) {
  return {.kind = loss_kind::clipped, .low = l.epsilon_low, .high = l.epsilon_high, .limits = l.limits};
}
named_loss of(const ia::gspo& l) {
  return {.kind = loss_kind::gspo, .low = l.epsilon_low, .high = l.epsilon_high, .limits = l.limits};
}
named_loss of(const ia::response_surrogate& l) {
  return {.kind = loss_kind::response, .low = l.epsilon_low, .high = l.epsilon_high, .limits = l.limits};
}
named_loss of(const ia::cispo& l) {
  return {
      .kind = loss_kind::cispo, .low = 1 - l.smallest_ratio, .high = l.largest_ratio - 1, .limits = {.log_ratio = l.log_ratio}};
}
named_loss of(const ia::sapo& l) {
  return {.kind = loss_kind::sapo,
          .low = l.negative_temperature,
          .high = l.positive_temperature,
          .limits = {.log_ratio = l.log_ratio}};
}
named_loss of(const ia::gmpo& l) {
  return {.kind = loss_kind::gmpo, .low = l.epsilon_low, .high = l.epsilon_high};
}
named_loss of(const ia::vespo&) {
  return {.kind = loss_kind::vespo};  // its shapes are the same everywhere
}

class table {
 public:
  /// With the bounds of the papers, and their usual means.
  template <class Loss>
  void add(const char* name, const Loss& loss, ia::aggregation how) {
    losses.push_back(of(loss));
    losses.back().name = name;
    losses.back().how = how;
  }
  template <class Loss>
  void add_preset(const char* name, const Loss& loss, const ia::presets::averaging& by, const ia::kl_term& kl) {
    add(name, loss, by.how);
    losses.back().counted = by.counted;
    losses.back().by_size = by.divisor > 0;
    losses.back().trainer = trainer;
    losses.back().kl = {kl.value, kl.gradient, kl.importance};
  }
  /// Of which the trainer has a KL that is not offered, or that is no part of the loss.
  template <class Loss>
  void add_without_kl(const char* name, const Loss& loss, const ia::presets::averaging& by) {
    add_preset(name, loss, by, {.beta = ia::kl_weight(0)});
    losses.back().has_kl = false;
  }
  std::vector<named_loss> losses;
  const char* trainer = nullptr;
};

void add_trl(table& t) {
  namespace p = ia::presets::trl;
  using type = p::loss_type;
  t.trainer = p::mirrored;
  const ia::kl_term kl = p::kl(0);
  t.add_preset("trl.grpo", p::grpo(), p::average(type::grpo), kl);
  t.add_preset("trl.bnpo", p::grpo(), p::average(type::bnpo), kl);
  t.add_preset("trl.dr_grpo", p::grpo(), p::average(type::dr_grpo, 1, 1), kl);
  t.add_preset("trl.dapo", p::grpo(), p::average(type::dapo), kl);
  t.add_preset("trl.cispo", p::cispo(), p::average(type::cispo), kl);
  t.add_preset("trl.sapo", p::sapo(), p::average(type::sapo), kl);
  t.add_preset("trl.vespo", p::vespo(), p::average(type::vespo), kl);
  t.add_without_kl("trl.gspo", p::gspo(), p::average(type::grpo));
  t.add_without_kl("trl.luspo", p::gspo(), p::average(type::luspo));
  t.add_without_kl("trl.rloo", p::rloo(), p::average(type::grpo));
}

void add_verl(table& t) {
  namespace p = ia::presets::verl;
  t.trainer = p::mirrored;
  const auto means = p::average(p::loss_agg_mode::seq_mean_token_mean), tokens = p::average(p::loss_agg_mode::token_mean);
  const ia::kl_term kl = p::kl();
  t.add_preset("verl.vanilla", p::vanilla(), tokens, kl);
  t.add_preset("verl.gspo", p::gspo(), means, kl);
  t.add_preset("verl.sapo", p::sapo(), means, kl);
  t.add_preset("verl.geo_mean", p::geo_mean(), p::average_of_geo_mean(), kl);
  t.add_preset("verl.cispo", p::cispo(), tokens, kl);
  t.add_preset("verl.gpg", p::gpg(), tokens, kl);
}

void add_openrlhf(table& t) {
  namespace p = ia::presets::openrlhf;
  t.trainer = p::mirrored;
  t.add_preset("openrlhf.ppo", p::ppo(), p::average(), p::kl());
  t.add_preset("openrlhf.gspo", p::gspo(), p::average(false), p::kl());
}

void add_liger(table& t) {
  namespace p = ia::presets::liger;
  using type = p::loss_type;
  t.trainer = p::mirrored;
  t.add_preset("liger.grpo", p::grpo(), p::average(type::grpo), p::kl());
  t.add_preset("liger.bnpo", p::grpo(), p::average(type::bnpo), p::kl());
  t.add_preset("liger.dr_grpo", p::grpo(), p::average(type::dr_grpo, 1, 1), p::kl());
  t.add_preset("liger.dapo", p::grpo(), p::average(type::dapo), p::kl());
  t.add_preset("liger.cispo", p::cispo(), p::average(type::cispo), p::kl());
  t.add_preset("liger.sapo", p::sapo(), p::average(type::sapo), p::kl());
  t.add_preset("liger.vespo", p::vespo(), p::average(type::vespo), p::kl());
  t.add_preset("liger.gspo", p::gspo(), p::average(type::grpo), p::kl());
  t.add_without_kl("liger.luspo", p::gspo(), p::average(type::luspo));
}

std::vector<named_loss> all() {
  table t;
  t.add("grpo", ia::clipped_surrogate(0.2, 0.2), by_responses);
  t.add("dapo", ia::clipped_surrogate(0.2, 0.28), by_tokens);
  t.add("ppo", ia::clipped_surrogate(0.2, 0.2), by_tokens);
  t.add("reinforce", ia::reinforce(), by_tokens);
  t.add("cispo", ia::cispo(0, 5), by_tokens);
  t.add("sapo", ia::sapo(), by_responses);
  t.add("gspo", ia::gspo(3e-4, 4e-4), by_responses);
  t.add("gmpo", ia::gmpo(0.4, 0.4), by_responses);
  t.add("vespo", ia::vespo(), by_tokens);
  add_trl(t);
  add_verl(t);
  add_openrlhf(t);
  add_liger(t);
  return t.losses;
}

}  // namespace

const std::vector<named_loss>& named_losses() {
  static const std::vector<named_loss> losses = all();
  return losses;
}

const named_loss& loss_named(std::string_view name) {
  for (const named_loss& loss : named_losses())
    if (name == loss.name) return loss;
  const bool preset = name.find('.') != std::string_view::npos;
  std::string known;
  for (const named_loss& loss : named_losses())
    if (preset == (loss.trainer != nullptr)) known += (known.empty() ? "" : ", ") + loss.name;
  raise_value_error(policy_loss_name,
                    (preset ? "preset is '" : "loss is '") + std::string(name) + "', must be one of " + known);
}

}  // namespace infalign_python
