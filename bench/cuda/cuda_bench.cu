// SPDX-License-Identifier: Apache-2.0
/// \file
/// The CUDA backend beside the physical limit: a copy from device memory to device memory in the same run. Every row reports the
/// bytes that any implementation must move. Their rate, divided by that of the copy, is the share of the limit that is reached.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <infalign/infalign.cuh>
#include <random>
#include <vector>

namespace {

using infalign::bfloat16;
using infalign::device_array;
using infalign::device_memory;
using infalign::index_t;
using infalign::rows;

template <class T>
device_array<T> normal_values(index_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<T> some(1 << 20);  // repeated below, as drawing more would only take longer
  for (T& v : some) v = static_cast<T>(normal(generator));
  std::vector<T> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = some[(i * 7919 + i / some.size()) % some.size()];
  return device_array<T>(values);
}

/// Times `work` by events on the default stream, with `bytes` moved at least.
template <class Work>
void measure(benchmark::State& state, index_t bytes, Work&& work) {
  cudaEvent_t start, stop;
  infalign::detail::expects_cuda(cudaEventCreate(&start), "cudaEventCreate");
  infalign::detail::expects_cuda(cudaEventCreate(&stop), "cudaEventCreate");
  work();
  for (auto _ : state) {
    cudaEventRecord(start);
    work();
    cudaEventRecord(stop);
    infalign::detail::expects_cuda(cudaEventSynchronize(stop), "cudaEventSynchronize");
    float milliseconds = 0;
    cudaEventElapsedTime(&milliseconds, start, stop);
    state.SetIterationTime(1e-3 * milliseconds);
  }
  state.SetBytesProcessed(state.iterations() * bytes);
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
}

void copy_limit(benchmark::State& state) {
  const index_t n = index_t{1} << 28;
  device_array<float> from = normal_values<float>(n, 1), to(n);
  measure(state, 8 * n,
          [&] { cudaMemcpyAsync(to.data(), from.data(), 4 * static_cast<std::size_t>(n), cudaMemcpyDeviceToDevice, nullptr); });
}

void calibrate(benchmark::State& state) {
  const index_t prompts = 1'000'000, references = state.range(0), rollouts = state.range(1);
  device_array<float> z = normal_values<float>(prompts * references, 1), y = normal_values<float>(prompts * rollouts, 2),
                      u(prompts * rollouts);
  auto on = infalign::cuda().unchecked();
  measure(state, 4 * prompts * (references + 2 * rollouts),
          [&] { infalign::calibrate(on, z.rows(prompts, references), y.rows(prompts, rollouts), u.rows(prompts, rollouts)); });
}

void transform(benchmark::State& state) {
  const index_t n = index_t{1} << 28;
  device_array<float> u = normal_values<float>(n, 1), out(n);
  auto on = infalign::cuda().unchecked();
  measure(state, 8 * n, [&] { infalign::apply(on, infalign::exponential(10), u.span(), out.span()); });
}

template <class L>
void policy_gradient(benchmark::State& state) {
  const index_t tokens = state.range(0), vocabulary = state.range(1);
  device_array<L> logits = normal_values<L>(tokens * vocabulary, 1), gradient(tokens * vocabulary);
  std::vector<std::int32_t> sampled;
  for (index_t t = 0; t < tokens; ++t) sampled.push_back(static_cast<std::int32_t>(t * 7919 % vocabulary));
  device_array<std::int32_t> ids(sampled);
  device_array<float> advantages = normal_values<float>(tokens, 2), old = normal_values<float>(tokens, 3), loss(tokens);
  const infalign::clipped_surrogate clip(0.2, 0.2);
  const infalign::token_logits<L, device_memory> batch{logits.rows(tokens, vocabulary), {}, ids.span()};
  auto on = infalign::cuda().unchecked();
  measure(state, 2 * static_cast<index_t>(sizeof(L)) * tokens * vocabulary, [&] {
    infalign::policy_gradient(
        on, clip, batch, infalign::token_data(advantages.span(), old.span()), {.kl = infalign::kl_weight(0)},
        infalign::token_statistics<float, device_memory>{loss.span(), {}, {}, {}}, gradient.rows(tokens, vocabulary));
  });
}

BENCHMARK(copy_limit)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(calibrate)->Args({128, 4})->Args({128, 16})->Args({16, 4})->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(transform)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(policy_gradient<float>)
    ->Args({8192, 32'768})
    ->Args({2048, 131'072})
    ->Args({16, 131'072})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(policy_gradient<bfloat16>)
    ->Args({8192, 32'768})
    ->Args({2048, 131'072})
    ->Args({16, 131'072})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace

int main(int count, char** arguments) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("skipped: no CUDA device");
    return 0;
  }
  benchmark::Initialize(&count, arguments);
  benchmark::RunSpecifiedBenchmarks();
}
