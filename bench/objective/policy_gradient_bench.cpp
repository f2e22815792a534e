// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "support.hpp"

namespace {

using infalign::index_t;
using infalign::rows;
namespace bench = infalign::bench;

struct problem {
  index_t tokens;
  index_t vocabulary;
  std::vector<float> logits = bench::normal_values<float>(tokens * vocabulary, 1);
  std::vector<float> base_logits = bench::normal_values<float>(tokens * vocabulary, 2);
  std::vector<float> gradient = std::vector<float>(logits.size());
  std::vector<std::int32_t> ids;
  std::vector<float> advantages = bench::normal_values<float>(tokens, 3);
  std::vector<float> old_log_prob = std::vector<float>(advantages.size(), -std::log(static_cast<float>(vocabulary)));
  std::vector<float> loss = advantages, log_prob = advantages, kl = advantages, entropy = advantages;

  explicit problem(const benchmark::State& state) : tokens(state.range(0)), vocabulary(state.range(1)) {
    for (index_t t = 0; t < tokens; ++t) ids.push_back(static_cast<std::int32_t>(t * 7919 % vocabulary));
  }
  infalign::token_logits<float> batch(bool with_base) const {
    infalign::token_logits<float> b{{logits.data(), tokens, vocabulary}, {}, ids};
    if (with_base) b.base = {base_logits.data(), tokens, vocabulary};
    return b;
  }
  rows<float> out() { return {gradient.data(), tokens, vocabulary}; }
  void report(benchmark::State& state, index_t arrays) const { bench::report(state, tokens, 4 * arrays * tokens * vocabulary); }
};

void policy_gradient(benchmark::State& state) {
  problem p(state);
  infalign::simd on;
  const infalign::clipped_surrogate clip(0.2, 0.2);
  bench::measure(state, [&] {
    infalign::policy_gradient(on, clip, p.batch(false), infalign::token_data(p.advantages, p.old_log_prob),
                              {.kl = infalign::kl_weight(0), .scale = 1.0 / static_cast<double>(p.tokens)},
                              infalign::token_statistics<float>{p.loss, p.log_prob, {}, {}}, p.out());
  });
  p.report(state, 2);
}

/// Logits and gradient in other types: `policy_gradient/bfloat16` and `/half` have half of the bytes of `/float` an element.
template <class L, class G = L>
void policy_gradient_of(benchmark::State& state) {
  const problem p(state);
  std::vector<L> logits;
  for (const float l : p.logits) logits.emplace_back(l);
  std::vector<G> gradient(logits.size());
  std::vector<float> loss(p.advantages.size());
  infalign::simd on;
  const infalign::clipped_surrogate clip(0.2, 0.2);
  const infalign::token_logits<L> batch{{logits.data(), p.tokens, p.vocabulary}, {}, p.ids};
  bench::measure(state, [&] {
    infalign::policy_gradient(
        on, clip, batch, infalign::token_data(p.advantages, p.old_log_prob), {.scale = 1.0 / static_cast<double>(p.tokens)},
        infalign::token_statistics<float>{loss, {}, {}, {}}, rows<G>(gradient.data(), p.tokens, p.vocabulary));
  });
  bench::report(state, p.tokens, static_cast<index_t>(sizeof(L) + sizeof(G)) * p.tokens * p.vocabulary);
}

void policy_gradient_kl(benchmark::State& state) {
  problem p(state);
  infalign::simd on;
  const infalign::clipped_surrogate clip(0.2, 0.2);
  bench::measure(state, [&] {
    infalign::policy_gradient(on, clip, p.batch(true), infalign::token_data(p.advantages, p.old_log_prob),
                              {.kl = infalign::kl_weight(0.1), .scale = 1.0 / static_cast<double>(p.tokens)},
                              infalign::token_statistics<float>{p.loss, {}, p.kl, {}}, p.out());
  });
  p.report(state, 3);
}

void policy_gradient_kl_entropy(benchmark::State& state) {
  problem p(state);
  infalign::simd on;
  const infalign::objective_weights weights{
      .kl = infalign::kl_weight(0.1), .entropy = infalign::entropy_weight(0.01), .scale = 1.0 / static_cast<double>(p.tokens)};
  bench::measure(state, [&] {
    infalign::policy_gradient(on, infalign::reinforce(), p.batch(true), std::as_const(p.advantages), weights,
                              infalign::token_statistics<float>{p.loss, p.log_prob, p.kl, p.entropy}, p.out());
  });
  p.report(state, 3);
}

void token_statistics(benchmark::State& state) {
  problem p(state);
  infalign::simd on;
  bench::measure(state, [&] {
    infalign::compute_token_statistics(on, p.batch(true), infalign::token_statistics<float>{{}, p.log_prob, p.kl, p.entropy});
  });
  p.report(state, 2);
}

/// REINFORCE in Eigen, row by row: softmax, then the gradient.
void eigen_policy_gradient(benchmark::State& state) {
  problem p(state);
  bench::measure(state, [&] {
    for (index_t t = 0; t < p.tokens; ++t) {
      const Eigen::Map<const Eigen::ArrayXf> row(p.logits.data() + t * p.vocabulary, p.vocabulary);
      Eigen::Map<Eigen::ArrayXf> gradient(p.gradient.data() + t * p.vocabulary, p.vocabulary);
      const auto i = static_cast<std::size_t>(t);
      gradient = (row - row.maxCoeff()).exp();
      const float sum = gradient.sum();
      const float weight = p.advantages[i] / static_cast<float>(p.tokens);
      p.log_prob[i] = std::log(gradient[p.ids[i]] / sum);
      gradient *= weight / sum;
      gradient[p.ids[i]] -= weight;
    }
  });
  p.report(state, 2);
}

/// The physical limit: one read and one write of as many values.
void memcpy_limit(benchmark::State& state) {
  problem p(state);
  bench::measure(state, [&] { std::memcpy(p.gradient.data(), p.logits.data(), p.logits.size() * sizeof(float)); });
  p.report(state, 2);
}

BENCHMARK(policy_gradient)->Args({512, 32'768})->Args({128, 131'072})->Args({4096, 1000})->Unit(benchmark::kMillisecond);
BENCHMARK(policy_gradient_of<float>)->Name("policy_gradient_of/float")->Args({128, 32'768})->Unit(benchmark::kMillisecond);
BENCHMARK(policy_gradient_of<infalign::bfloat16>)
    ->Name("policy_gradient_of/bfloat16")
    ->Args({128, 32'768})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(policy_gradient_of<infalign::half>)
    ->Name("policy_gradient_of/half")
    ->Args({128, 32'768})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(policy_gradient_of<infalign::half, float>)
    ->Name("policy_gradient_of/half_to_float")
    ->Args({128, 32'768})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(policy_gradient_kl)->Args({512, 32'768})->Unit(benchmark::kMillisecond);
BENCHMARK(policy_gradient_kl_entropy)->Args({512, 32'768})->Unit(benchmark::kMillisecond);
BENCHMARK(token_statistics)->Args({512, 32'768})->Unit(benchmark::kMillisecond);
BENCHMARK(eigen_policy_gradient)->Args({512, 32'768})->Args({128, 131'072})->Args({4096, 1000})->Unit(benchmark::kMillisecond);
BENCHMARK(memcpy_limit)->Args({512, 32'768})->Args({128, 131'072})->Args({4096, 1000})->Unit(benchmark::kMillisecond);

}  // namespace
