// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <variant>
#include <vector>

#include <infalign/core/any_rows.hpp>
#include <infalign/core/storage.hpp>
#include <infalign/logits/passes.hpp>
#include <infalign/objective/losses.hpp>
#include <infalign/objective/policy_gradient.hpp>
#include <infalign/objective/sequence_policy_gradient.hpp>

#include "views.hpp"

namespace infalign_python::INFALIGN_PYTHON_ISA {

namespace {

using policy_losses = std::variant<ia::reinforce, ia::clipped_surrogate, ia::gspo, ia::response_surrogate, ia::cispo, ia::sapo,
                                   ia::gmpo, ia::vespo>;

/// A loss that is chosen while the program runs, once a token: so the passes over logits are compiled once for all. Without old
/// log-probabilities its ratios are 1, as in trainers that take their first step on new rollouts.
struct any_loss {
  policy_losses held;
  std::optional<ia::kl_term> kl;

  ia::loss_value operator()(const ia::token_row& row) const {
    return std::visit(
        [&]<class Loss>(const Loss& loss) {
          return kl ? ia::loss_with_kl<Loss>{loss, *kl}(row) : loss(row);
        },
        held);
  }
  [[nodiscard]] double sequence_term(const ia::token_row& row) const {
    return std::visit(
        [&]<class Loss>(const Loss& loss) -> double {
          if constexpr (ia::detail::has_sequence_term<Loss>)
            return loss.sequence_term(row);
          else
            return 0;
        },
        held);
  }
};

policy_losses chosen_loss(const policy_loss_request& request) {
  const double low = request.epsilon_low, high = request.epsilon_high;
  switch (request.loss) {
    case loss_kind::clipped: return ia::clipped_surrogate(low, high, request.limits);
    case loss_kind::gspo: return ia::gspo(low, high, request.limits);
    case loss_kind::response: return ia::response_surrogate(low, high, request.limits);
    case loss_kind::cispo: return ia::cispo(1 - low, 1 + high, request.limits.log_ratio);
    case loss_kind::sapo: return ia::sapo(high, low, request.limits.log_ratio);
    case loss_kind::gmpo: return ia::gmpo(low, high);
    case loss_kind::vespo: return ia::vespo();
    case loss_kind::reinforce: break;
  }
  return ia::reinforce();
}

/// The batch of a request, of logits `L`; statistics are of `T`.
template <class L, class T>
struct batch_of {
  const policy_loss_request& request;

  [[nodiscard]] index_t tokens() const { return request.responses * request.length; }
  template <class Value>
  [[nodiscard]] ia::any_rows<Value> rows(const logit_rows& from) const {
    if (from.data == nullptr) return {};
    return ia::strided_rows(static_cast<Value*>(from.data), request.responses, request.length, request.columns,
                            from.batch_stride, from.row_stride);
  }
  [[nodiscard]] ia::token_logits<L> logits() const {
    const ia::token_logits<L> batch{rows<const L>(request.logits), rows<const L>(request.base), {request.tokens, tokens()}};
    const auto capped = request.soft_cap > 0 ? batch.soft_capped(request.soft_cap) : batch;
    return capped.scaled(request.scale);
  }
  [[nodiscard]] ia::token_data<double, double, ia::host_memory> data() const {
    const auto one_each = [&](const double* values) {
      return ia::span<const double>(values, values == nullptr ? 0 : tokens());
    };
    const ia::token_data<double, double, ia::host_memory> all(
        ia::span<const double>(request.advantages, of_responses(request.loss) ? request.responses : tokens()),
        one_each(request.old_log_prob));
    return all.with_base(one_each(request.base_log_prob)).weighted_by(one_each(request.weights));
  }
  [[nodiscard]] ia::token_statistics<T> statistics() const {
    const auto row = [&](index_t i) { return ia::span<T>(static_cast<T*>(request.statistics) + i * tokens(), tokens()); };
    return {row(0), row(1), row(2), request.wants_entropy ? row(3) : ia::span<T>()};
  }
};

template <class L, class T>
double run_policy_loss(ia::simd& on, const policy_loss_request& request) {
  any_loss loss{chosen_loss(request), std::nullopt};
  ia::objective_weights weights{ia::kl_weight(0), ia::entropy_weight(request.entropy)};
  const ia::kl_weight beta(request.kl);
  if (request.exact_kl)
    weights.kl = beta;
  else if (request.kl > 0)
    loss.kl = ia::kl_term{beta, request.estimate.value, request.estimate.gradient, request.estimate.importance};
  const batch_of<L, T> batch{request};
  const auto gradient = batch.template rows<L>(request.gradient);
  const ia::token_statistics<T> s = batch.statistics();
  if (of_responses(request.loss)) {
    std::vector<index_t> offsets(static_cast<std::size_t>(request.responses) + 1);
    for (std::size_t b = 0; b < offsets.size(); ++b) offsets[b] = static_cast<index_t>(b) * request.length;
    ia::sequence_policy_gradient(on, loss, batch.logits(), offsets, batch.data(), weights, s, gradient);
  } else {
    ia::policy_gradient(on, loss, batch.logits(), batch.data(), weights, s, gradient);
  }
  double total = 0;
  for (index_t t = 0; t < batch.tokens(); ++t) {
    if (request.weights[t] == 0) continue;
    double value = static_cast<double>(s.loss[t]);
    if (weights.kl.value > 0) value += weights.kl.value * static_cast<double>(s.kl[t]);
    if (weights.entropy.value > 0) value -= weights.entropy.value * static_cast<double>(s.entropy[t]);
    total += request.weights[t] * value;
  }
  return total;
}

/// `f(on, batch)` with logits of 32 or 64 bits, the latter in the baseline alone.
template <class F>
void with_shard(const ia::executor& run, const policy_loss_request& request, const F& f) {
  with_backend(run, [&](ia::simd& on) {
#if defined(INFALIGN_PYTHON_DOUBLE_LOGITS)
    if (request.type == logit_type::float64) return f(on, batch_of<double, double>{request});
#endif
    f(on, batch_of<float, float>{request});
  });
}

template <class L>
ia::token_logits<L> leaving_out(ia::token_logits<L> batch) {
  batch.tokens = batch.tokens.ignoring(left_out);
  return batch;
}

}  // namespace

void read_shard(const ia::executor& run, const policy_loss_request& request, bool entropy, ia::row_state* states) {
  with_shard(run, request, [&](ia::simd& on, const auto& batch) {
    ia::read_logits(on, leaving_out(batch.logits()), {.kl = request.base.data != nullptr, .entropy = entropy},
                    ia::span<ia::row_state>(states, batch.tokens()));
  });
}

void shard_gradient(const ia::executor& run, const policy_loss_request& request, const ia::row_statistics* statistics,
                    const ia::row_coefficients* coefficients) {
  with_shard(run, request, [&]<class L, class T>(ia::simd& on, const batch_of<L, T>& batch) {
    ia::write_logit_gradient(on, leaving_out(batch.logits()), ia::span<const ia::row_statistics>(statistics, batch.tokens()),
                             ia::span<const ia::row_coefficients>(coefficients, batch.tokens()),
                             batch.template rows<L>(request.gradient));
  });
}

double policy_loss(const ia::executor& run, const policy_loss_request& request) {
  return with_backend(run, [&](ia::simd& on) {
    switch (request.type) {
#if defined(INFALIGN_PYTHON_DOUBLE_LOGITS)
      case logit_type::float64: return run_policy_loss<double, double>(on, request);
#endif
      case logit_type::bfloat16: return run_policy_loss<ia::bfloat16, float>(on, request);
      case logit_type::float16: return run_policy_loss<ia::half, float>(on, request);
      default: break;  // float32; float64 is asked of the baseline alone
    }
    return run_policy_loss<float, float>(on, request);
  });
}

}  // namespace infalign_python::INFALIGN_PYTHON_ISA
