// SPDX-License-Identifier: Apache-2.0
#include "policy_loss_call.hpp"

#include <cmath>
#include <string>

namespace infalign_python {

namespace {

constexpr std::string_view function = policy_loss_name;

int choice(const char* what, std::string_view text, const std::vector<const char*>& words, int first) {
  std::string known;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (text == words[i]) return static_cast<int>(i) + first;
    known += (known.empty() ? "" : ", ") + std::string(words[i]);
  }
  raise_value_error(function, std::string(what) + " is '" + std::string(text) + "', must be one of " + known);
}

const double* data_or_null(const std::vector<double>& values) {
  return values.empty() ? nullptr : values.data();
}

}  // namespace

policy_loss_call::policy_loss_call(const policy_loss_tensors& given, const policy_loss_settings& from, bool wants_entropy)
    : total_(given.total), batch_(given.tokens), loss_(loss_named(from.loss)) {
  const tensor& logits = given.logits;
  if (logits.type == element::none || logits.type > element::float16)
    logits.refuse_type("float32, float64, bfloat16 or float16");
  for (const tensor* other : {&given.base_logits, &given.gradient})
    if (other->given() && other->type != logits.type) other->refuse_type("the type of logits");
  request_.type = static_cast<logit_type>(logits.type);
  request_.responses = batch_.responses;
  request_.length = batch_.length;
  request_.columns = logits.sizes[logits.dimensions == 2 ? 1 : 2];
  request_.logits = rows_of(logits, batch_, request_.columns);
  request_.base = rows_of(given.base_logits, batch_, request_.columns);
  request_.gradient = rows_of(given.gradient, batch_, request_.columns);
  batch_.read_advantages(given.advantages, of_responses(loss_.kind));
  batch_.read(given.old_log_prob, batch_.old_log_prob);
  batch_.read(given.base_log_prob, batch_.base_log_prob);
  batch_.weights.assign(batch_.size(), 1);
  batch_.read(given.mask, batch_.weights);
  choose(from);
  choose_kl(from);
  weigh(from);
  for (std::size_t t = 0; t < batch_.size(); ++t)
    if (batch_.weights[t] == 0) batch_.tokens[t] = 0;  // what is no token may have any id
  request_.tokens = batch_.tokens.data();
  request_.advantages = batch_.advantages.data();
  request_.old_log_prob = data_or_null(batch_.old_log_prob);
  request_.base_log_prob = data_or_null(batch_.base_log_prob);
  request_.weights = batch_.weights.data();
  request_.wants_entropy = wants_entropy || from.entropy > 0;
  // Without a place of their own they go into scratch memory: the sum is made of them.
  scratch_.resize(given.statistics.given() ? 0 : 4 * batch_.size());
  request_.statistics = given.statistics.given() ? static_cast<void*>(given.statistics.data) : scratch_.data();
}

void policy_loss_call::choose(const policy_loss_settings& from) {
  request_.loss = loss_.kind;
  request_.limits = loss_.limits;
  request_.epsilon_low = std::isnan(from.epsilon_low) ? loss_.low : from.epsilon_low;
  request_.epsilon_high = std::isnan(from.epsilon_high) ? loss_.high : from.epsilon_high;
  request_.entropy = from.entropy;
  if (!(from.temperature > 0) || !std::isfinite(1 / from.temperature))
    raise_value_error(function, "temperature is " + std::to_string(from.temperature) + ", must be positive");
  request_.scale = 1 / from.temperature;
  request_.soft_cap = from.soft_cap;
}

/// How the KL is taken: by a name, or as the preset has it.
void policy_loss_call::choose_kl(const policy_loss_settings& from) {
  const bool has_base = request_.base.data != nullptr, has_log_prob = !batch_.base_log_prob.empty();
  request_.kl = from.kl;
  if (loss_.trainer != nullptr && from.kl_estimator == "preset") {
    if (from.kl > 0 && !loss_.has_kl)
      raise_value_error(function, loss_.name + " has no KL term that is offered here: name one by kl_estimator");
    request_.estimate = loss_.kl;
  } else {
    const int estimator = choice("kl_estimator", from.kl_estimator, {"exact", "k1", "absolute", "k2", "k3"}, -1);
    request_.exact_kl = estimator < 0;
    if (estimator >= 0) request_.estimate.value.estimator = static_cast<ia::kl_estimator>(estimator);
    request_.estimate.gradient = request_.estimate.value;
  }
  if (from.kl > 0 && request_.exact_kl && !has_base) raise_value_error(function, "the exact KL needs base_logits");
  if (from.kl > 0 && !request_.exact_kl && !has_base && !has_log_prob)
    raise_value_error(function, "the KL needs base_log_prob or base_logits");
}

/// The mask becomes the weights of tokens.
void policy_loss_call::weigh(const policy_loss_settings& from) {
  double divisor = loss_.by_size ? static_cast<double>(batch_.size()) : 0;
  ia::aggregation how = loss_.how;
  if (const std::string_view by = from.aggregation; !by.empty()) {
    constexpr ia::aggregation ways[] = {ia::aggregation::token_mean, ia::aggregation::sequence_mean_of_token_means,
                                        ia::aggregation::sequence_mean_of_token_sums, ia::aggregation::token_mean};
    how = ways[choice("aggregation", by,
                      {"token_mean", "sequence_mean_of_token_means", "sequence_mean_of_token_sums", "sum_over"}, 0)];
    divisor = by == "sum_over" ? from.divisor : 0;
    if (by == "sum_over" && !(divisor > 0 && std::isfinite(divisor)))
      raise_value_error(function, "aggregation is " + std::to_string(divisor) + ", must be positive and finite");
  }
  baseline::aggregate(how, loss_.counted, divisor, batch_.responses, batch_.length, batch_.weights.data());
}

void policy_loss_call::run(const ia::executor& by) {
  // Logits of double are for checks of gradients: they are compiled for the baseline alone.
  const kernels& table = request_.type == logit_type::float64 ? baseline::table : chosen_kernels();
  const double value = table.policy_loss(by, request_);
  if (total_.type == element::float64)
    *reinterpret_cast<double*>(total_.data) = value;
  else
    *reinterpret_cast<float*>(total_.data) = static_cast<float>(value);
}

}  // namespace infalign_python
