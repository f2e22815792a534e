// SPDX-License-Identifier: Apache-2.0
/// \file
/// Policy losses of PyTorch's tensors on the CPU.
#include <cmath>
#include <string>
#include <vector>

#include "losses.hpp"
#include "modules.hpp"
#include "tensors.hpp"

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

/// Settings of a call. Numbers that are NaN are not given: the loss has its own.
struct settings {
  const char* loss;
  double epsilon_low;
  double epsilon_high;
  double kl;
  const char* kl_estimator;
  double entropy;
  double temperature;
  double soft_cap;
  const char* aggregation;
  double divisor;
};

/// How the KL is taken: by a name, or as the preset has it.
void fill_kl(policy_loss_request& request, const settings& from, const named_loss& loss, bool has_base, bool has_log_prob) {
  request.kl = from.kl;
  if (loss.trainer != nullptr && std::string_view(from.kl_estimator) == "preset") {
    if (from.kl > 0 && !loss.has_kl)
      raise_value_error(function, loss.name + " has no KL term that is offered here: name one by kl_estimator");
    request.estimate = loss.kl;
  } else {
    const int estimator = choice("kl_estimator", from.kl_estimator, {"exact", "k1", "absolute", "k2", "k3"}, -1);
    request.exact_kl = estimator < 0;
    if (estimator >= 0) request.estimate.value.estimator = static_cast<ia::kl_estimator>(estimator);
    request.estimate.gradient = request.estimate.value;
  }
  if (from.kl > 0 && request.exact_kl && !has_base) raise_value_error(function, "the exact KL needs base_logits");
  if (from.kl > 0 && !request.exact_kl && !has_base && !has_log_prob)
    raise_value_error(function, "the KL needs base_log_prob or base_logits");
}

void fill(policy_loss_request& request, const settings& from, const named_loss& loss) {
  request.loss = loss.kind;
  request.limits = loss.limits;
  request.epsilon_low = std::isnan(from.epsilon_low) ? loss.low : from.epsilon_low;
  request.epsilon_high = std::isnan(from.epsilon_high) ? loss.high : from.epsilon_high;
  request.entropy = from.entropy;
  if (!(from.temperature > 0) || !std::isfinite(1 / from.temperature))
    raise_value_error(function, "temperature is " + std::to_string(from.temperature) + ", must be positive");
  request.scale = 1 / from.temperature;
  request.soft_cap = from.soft_cap;
}

/// The mask of `of` becomes the weights of its tokens.
void weigh(batch& of, const settings& from, const named_loss& loss) {
  double divisor = loss.by_size ? static_cast<double>(of.size()) : 0;
  ia::aggregation how = loss.how;
  if (const std::string_view by = from.aggregation; !by.empty()) {
    constexpr ia::aggregation ways[] = {ia::aggregation::token_mean, ia::aggregation::sequence_mean_of_token_means,
                                        ia::aggregation::sequence_mean_of_token_sums, ia::aggregation::token_mean};
    how = ways[choice("aggregation", by,
                      {"token_mean", "sequence_mean_of_token_means", "sequence_mean_of_token_sums", "sum_over"}, 0)];
    divisor = by == "sum_over" ? from.divisor : 0;
    if (by == "sum_over" && !(divisor > 0 && std::isfinite(divisor)))
      raise_value_error(function, "aggregation is " + std::to_string(divisor) + ", must be positive and finite");
  }
  baseline::aggregate(how, loss.counted, divisor, of.responses, of.length, of.weights.data());
}

void policy_loss(nb::handle logits, nb::handle tokens, nb::handle advantages, nb::handle mask, nb::handle old_log_prob,
                 nb::handle base_logits, nb::handle base_log_prob, nb::handle gradient, nb::handle statistics, nb::handle total,
                 const char* loss, double epsilon_low, double epsilon_high, double kl, const char* kl_estimator, double entropy,
                 double temperature, double soft_cap, const char* aggregation, double divisor, bool wants_entropy,
                 int threads) {
  const settings given{loss, epsilon_low, epsilon_high, kl, kl_estimator, entropy, temperature, soft_cap, aggregation, divisor};
  const tensor l("logits", logits), base("base_logits", base_logits), g("out", gradient), s("statistics", statistics),
      sum("total", total);
  if (l.type == element::none || l.type > element::float16) l.refuse_type("float32, float64, bfloat16 or float16");
  if (base.given() && !same_type(base, l)) base.refuse_type("the type of logits");
  if (!same_type(g, l)) g.refuse_type("the type of logits");
  batch of(tensor("tokens", tokens, true));
  policy_loss_request request{};
  request.type = static_cast<logit_type>(l.type);
  request.responses = of.responses;
  request.length = of.length;
  request.columns = l.sizes[l.dimensions == 2 ? 1 : 2];
  request.logits = rows_of(l, of, request.columns);
  request.base = rows_of(base, of, request.columns);
  request.gradient = rows_of(g, of, request.columns);
  const named_loss& chosen = loss_named(loss);
  of.read_advantages(tensor("advantages", advantages, true), of_responses(chosen.kind));
  of.read(tensor("old_log_prob", old_log_prob), of.old_log_prob);
  of.read(tensor("base_log_prob", base_log_prob), of.base_log_prob);
  of.weights.assign(of.size(), 1);
  of.read(tensor("mask", mask), of.weights);
  fill(request, given, chosen);
  fill_kl(request, given, chosen, base.given(), !of.base_log_prob.empty());
  weigh(of, given, chosen);
  for (std::size_t t = 0; t < of.size(); ++t)
    if (of.weights[t] == 0) of.tokens[t] = 0;  // what is no token may have any id
  const auto data_or_null = [](const std::vector<double>& values) { return values.empty() ? nullptr : values.data(); };
  request.tokens = of.tokens.data();
  request.advantages = of.advantages.data();
  request.old_log_prob = data_or_null(of.old_log_prob);
  request.base_log_prob = data_or_null(of.base_log_prob);
  request.weights = of.weights.data();
  request.wants_entropy = wants_entropy || entropy > 0;
  // Without a place of their own they go into scratch memory: the sum is made of them.
  std::vector<double> scratch(s.given() ? 0 : 4 * of.size());
  request.statistics = s.given() ? static_cast<void*>(s.data) : scratch.data();
  // Logits of double are for checks of gradients: they are compiled for the baseline alone.
  const kernels& table = request.type == logit_type::float64 ? baseline::table : chosen_kernels();
  double value = 0;
  without_gil(function, threads, [&](const ia::executor& run) { value = table.policy_loss(run, request); });
  if (sum.type == element::float64)
    *reinterpret_cast<double*>(sum.data) = value;
  else
    *reinterpret_cast<float*>(sum.data) = static_cast<float>(value);
}

}  // namespace

void define_torch(nb::module_& m) {
  m.def("set_torch_dtypes", [](const nb::list& known) {
    if (words == nullptr) words = new vocabulary;
    words->dtypes.clear();
    for (const nb::handle dtype : known) words->dtypes.push_back(nb::borrow(dtype));
  });
  m.def("preset_names", [] {
    nb::list names;
    for (const named_loss& loss : named_losses())
      if (loss.trainer != nullptr) names.append(nb::make_tuple(loss.name, loss.trainer));
    return names;
  });
  m.def("policy_loss", policy_loss, nb::arg("logits"), nb::arg("tokens").none(), nb::arg("advantages").none(),
        nb::arg("mask").none(), nb::arg("old_log_prob").none(), nb::arg("base_logits").none(), nb::arg("base_log_prob").none(),
        nb::arg("gradient"), nb::arg("statistics").none(), nb::arg("total"), nb::arg("loss"), nb::arg("epsilon_low"),
        nb::arg("epsilon_high"), nb::arg("kl"), nb::arg("kl_estimator"), nb::arg("entropy"), nb::arg("temperature"),
        nb::arg("soft_cap"), nb::arg("aggregation"), nb::arg("divisor"), nb::arg("wants_entropy"), nb::arg("threads"));
}

}  // namespace infalign_python
