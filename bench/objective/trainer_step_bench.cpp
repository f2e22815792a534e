// SPDX-License-Identifier: Apache-2.0
/// A trainer's step on padded [B, S, V] logits, and one from hidden states.
#include <Eigen/Core>
#include <cmath>
#include <cstdint>

#include "infalign/interop/eigen.hpp"
#include "support.hpp"

namespace {

using infalign::index_t;
using infalign::rows;
namespace bench = infalign::bench;

/// [4, 129, 32768] logits, whose last position says nothing of a token. A quarter of the others is padding.
template <class L>
struct padded {
  static constexpr index_t batch = 4, positions = 129, length = positions - 1, tokens = batch * length, vocabulary = 32'768;
  static constexpr double temperature = 0.9, beta = 0.04;
  std::vector<L> logits;
  std::vector<std::int64_t> ids;
  std::vector<float> advantages, old_log_prob, base_log_prob, weights;
  std::vector<float> loss = std::vector<float>(tokens);

  padded() {
    for (const float l : bench::normal_values<float>(batch * positions * vocabulary, 1)) logits.emplace_back(l);
    for (index_t t = 0; t < tokens; ++t) {
      const index_t b = t / length, responses[] = {128, 64, 112, 80};
      ids.push_back(t * 7919 % vocabulary);
      advantages.push_back(b % 2 == 0 ? 1.0F : -0.5F);
      old_log_prob.push_back(-11);
      base_log_prob.push_back(-10.5F);
      weights.push_back(t % length < responses[b] ? 1.0F / static_cast<float>(batch * responses[b]) : 0.0F);
    }
  }
  infalign::any_rows<L> slice() {
    return infalign::strided_rows(logits.data(), batch, length, vocabulary, positions * vocabulary, vocabulary);
  }
};

/// GRPO with k3, means over responses, at a temperature; the gradient replaces the slice `[:, :-1]` of the logits.
template <class L>
void padded_grpo(benchmark::State& state) {
  padded<L> p;
  infalign::simd on;
  const auto loss = infalign::with_kl(infalign::clipped_surrogate(0.2, 0.2), {.beta = infalign::kl_weight(p.beta)});
  const auto data = infalign::token_data(p.advantages, p.old_log_prob).with_base(p.base_log_prob).weighted_by(p.weights);
  bench::measure(state, [&] {
    infalign::policy_gradient(on, loss, infalign::token_logits<L>{p.slice(), {}, p.ids}.scaled(1 / p.temperature), data, {},
                              infalign::token_statistics<float>{p.loss, {}, {}, {}}, p.slice());
  });
  bench::report(state, p.tokens, 2 * static_cast<index_t>(sizeof(L)) * p.tokens * p.vocabulary);
}

/// The same as the operations of an eager framework, each over whole arrays: scaled copy, log-softmax, gradient.
void padded_grpo_eager(benchmark::State& state) {
  padded<float> p;
  using matrix = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  matrix scaled(p.tokens, p.vocabulary), log_p(p.tokens, p.vocabulary), gradient(p.tokens, p.vocabulary);
  Eigen::ArrayXf by_log_prob(p.tokens);
  bench::measure(state, [&] {
    const auto logits = p.slice();
    for (index_t t = 0; t < p.tokens; ++t)
      scaled.row(t) =
          Eigen::Map<const Eigen::ArrayXf>(logits[t].data(), p.vocabulary).transpose() / static_cast<float>(p.temperature);
    for (index_t t = 0; t < p.tokens; ++t) {
      const float top = scaled.row(t).maxCoeff();
      log_p.row(t) = scaled.row(t) - (top + std::log((scaled.row(t) - top).exp().sum()));
    }
    for (index_t t = 0; t < p.tokens; ++t) {
      const auto i = static_cast<std::size_t>(t);
      const float lp = log_p(t, p.ids[i]), d = p.base_log_prob[i] - lp, ratio = std::exp(lp - p.old_log_prob[i]);
      const bool is_clipped = p.advantages[i] > 0 ? ratio > 1.2F : ratio < 0.8F;
      by_log_prob[t] =
          p.weights[i] * ((is_clipped ? 0 : -ratio * p.advantages[i]) + static_cast<float>(p.beta) * (1 - std::exp(d)));
    }
    for (index_t t = 0; t < p.tokens; ++t) {
      const float by = by_log_prob[t] / static_cast<float>(p.temperature);
      gradient.row(t) = log_p.row(t).exp() * -by;
      gradient(t, p.ids[static_cast<std::size_t>(t)]) += by;
    }
  });
  bench::report(state, p.tokens, 2 * 4 * p.tokens * p.vocabulary);
}

/// T×D hidden states and a V×D output matrix.
struct hidden_problem {
  static constexpr index_t tokens = 1024, width = 512, vocabulary = 16'384;
  std::vector<float> hidden = bench::normal_values<float>(tokens * width, 1);
  std::vector<float> matrix = bench::normal_values<float>(vocabulary * width, 2);
  std::vector<float> by_hidden = hidden, by_matrix = matrix;
  std::vector<float> advantages = bench::normal_values<float>(tokens, 3);
  std::vector<std::int32_t> ids;
  hidden_problem() {
    for (float& w : matrix) w /= 16;
    for (index_t t = 0; t < tokens; ++t) ids.push_back(static_cast<std::int32_t>(t * 7919 % vocabulary));
  }
};

/// `range(0)` tokens at a time. `of_all_logits`: the share of T×V that is in memory.
void hidden_policy_gradient(benchmark::State& state) {
  hidden_problem p;
  infalign::simd on;
  const infalign::hidden_logits<float> batch{
      {p.hidden.data(), p.tokens, p.width}, {p.matrix.data(), p.vocabulary, p.width}, p.ids};
  const infalign::hidden_gradient<float> gradient{{p.by_hidden.data(), p.tokens, p.width},
                                                  {p.by_matrix.data(), p.vocabulary, p.width}};
  bench::measure(state, [&] {
    infalign::hidden_policy_gradient(on, infalign::reinforce{}, batch, p.advantages, {}, infalign::token_statistics<float>{},
                                     gradient, infalign::eigen_product{}, state.range(0));
  });
  state.counters["of_all_logits"] = static_cast<double>(state.range(0)) / static_cast<double>(p.tokens);
  bench::report(state, p.tokens, 0);
}

/// The three products alone, over all tokens at once.
void hidden_products(benchmark::State& state) {
  hidden_problem p;
  std::vector<float> logits(static_cast<std::size_t>(p.tokens * p.vocabulary));
  const rows<const float> hidden(p.hidden.data(), p.tokens, p.width), matrix(p.matrix.data(), p.vocabulary, p.width);
  const rows<const float> read(logits.data(), p.tokens, p.vocabulary);
  const infalign::eigen_product product;
  bench::measure(state, [&] {
    product(hidden, matrix, rows<float>(logits.data(), p.tokens, p.vocabulary), {.transposes_right = true});
    product(read, matrix, rows<float>(p.by_hidden.data(), p.tokens, p.width), {});
    product(read, hidden, rows<float>(p.by_matrix.data(), p.vocabulary, p.width), {.transposes_left = true});
  });
  bench::report(state, p.tokens, 0);
}

BENCHMARK(padded_grpo<float>)->Name("padded_grpo/float")->Unit(benchmark::kMillisecond);
BENCHMARK(padded_grpo<infalign::bfloat16>)->Name("padded_grpo/bfloat16")->Unit(benchmark::kMillisecond);
BENCHMARK(padded_grpo<infalign::half>)->Name("padded_grpo/half")->Unit(benchmark::kMillisecond);
BENCHMARK(padded_grpo_eager)->Unit(benchmark::kMillisecond);
BENCHMARK(hidden_policy_gradient)->Arg(16)->Arg(32)->Arg(51)->Unit(benchmark::kMillisecond);
BENCHMARK(hidden_products)->Unit(benchmark::kMillisecond);

}  // namespace
