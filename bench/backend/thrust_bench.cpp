// SPDX-License-Identifier: Apache-2.0
/// \file
/// Thrust's CPU systems beside the same backend on one thread and on OpenMP's threads without Thrust.
#include <thrust/system/cpp/execution_policy.h>
#include <thrust/system/omp/execution_policy.h>
#include <thrust/system/tbb/execution_policy.h>

#include <cstdint>
#include <infalign/backend/thrust.hpp>

#include "support.hpp"

namespace {

using infalign::index_t;
using infalign::rows;
namespace bench = infalign::bench;

struct openmp {
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
#pragma omp parallel for schedule(dynamic)
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }
};

template <class Policy>
auto on_thrust(Policy policy) {
  return infalign::simd(infalign::thrust_executor<Policy>(policy));
}

template <class Backend>
void calibrate(benchmark::State& state, Backend on) {
  constexpr index_t prompts = 20'000, references = 128, rollouts = 16;
  const auto z = bench::normal_values<float>(prompts * references, 1);
  const auto y = bench::normal_values<float>(prompts * rollouts, 2);
  std::vector<float> u(y.size());
  bench::measure(state, [&] {
    infalign::calibrate(on, rows<const float>(z.data(), prompts, references), rows<const float>(y.data(), prompts, rollouts),
                        rows<float>(u.data(), prompts, rollouts));
  });
  bench::report(state, prompts * rollouts, 4 * prompts * (references + 2 * rollouts));
}

template <class Backend>
void policy_gradient(benchmark::State& state, Backend on) {
  constexpr index_t tokens = 512, vocabulary = 32'768;
  const auto logits = bench::normal_values<float>(tokens * vocabulary, 1);
  const auto advantages = bench::normal_values<float>(tokens, 2);
  std::vector<float> gradient(logits.size());
  std::vector<std::int32_t> ids;
  for (index_t t = 0; t < tokens; ++t) ids.push_back(static_cast<std::int32_t>(t * 7919 % vocabulary));
  bench::measure(state, [&] {
    infalign::policy_gradient(
        on, infalign::reinforce(), infalign::token_logits<float>{{logits.data(), tokens, vocabulary}, {}, ids}, advantages,
        {.kl = infalign::kl_weight(0)}, infalign::token_statistics<float>{}, rows<float>(gradient.data(), tokens, vocabulary));
  });
  bench::report(state, tokens, 8 * tokens * vocabulary);
}

#define INFALIGN_BENCH_BACKENDS(work)                                                \
  BENCHMARK_CAPTURE(work, simd, infalign::simd())->UseRealTime();                    \
  BENCHMARK_CAPTURE(work, thrust_cpp, on_thrust(::thrust::cpp::par))->UseRealTime(); \
  BENCHMARK_CAPTURE(work, simd_openmp, infalign::simd(openmp()))->UseRealTime();     \
  BENCHMARK_CAPTURE(work, thrust_omp, on_thrust(::thrust::omp::par))->UseRealTime(); \
  BENCHMARK_CAPTURE(work, thrust_tbb, on_thrust(::thrust::tbb::par))->UseRealTime()

INFALIGN_BENCH_BACKENDS(calibrate);
INFALIGN_BENCH_BACKENDS(policy_gradient);

}  // namespace
