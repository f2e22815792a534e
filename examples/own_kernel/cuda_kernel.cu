// SPDX-License-Identifier: Apache-2.0
// The line of shaped_reward.hpp in a CUDA kernel of your own.
#include <cmath>
#include <cstdio>
#include <infalign/backend/cuda.cuh>
#include <infalign/transform/exponential.hpp>
#include <random>
#include <vector>

#include "shaped_reward.hpp"

template <class Calibrator, class Transform>
__global__ void shape_rewards(Calibrator fitted, Transform transform, const float* rewards, const float* tokens, int rollouts,
                              float* shaped) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  shaped[i] = shaped_reward(fitted, i / rollouts, transform, rewards[i], tokens[i]);
}

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("skipped: no CUDA device");
    return 77;
  }
  constexpr int prompts = 3, references = 100, rollouts = 64;
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> base(prompts * references), rewards(prompts * rollouts), tokens(rewards.size());
  for (float& r : base) r = normal(generator);
  for (float& r : rewards) r = normal(generator);
  for (float& t : tokens) t = 100 + 10 * normal(generator);

  infalign::device_array<float> z(base), y(rewards), length(tokens), shaped(prompts * rollouts);
  infalign::cuda on;
  const infalign::calibrator fitted(on, z.rows(prompts, references));
  shape_rewards<<<prompts, rollouts, 0, on.stream()>>>(fitted.ref(), infalign::exponential(-5), y.data(), length.data(),
                                                       rollouts, shaped.data());
  const auto result = shaped.host();

  double largest_difference = 0;
  for (int i = 0; i < prompts * rollouts; ++i) {
    double below = 0;  // twice the mid-rank
    for (int k = 0; k < references; ++k) {
      const float reference = base[static_cast<std::size_t>(i / rollouts * references + k)];
      below += (reference < rewards[static_cast<std::size_t>(i)]) + (reference <= rewards[static_cast<std::size_t>(i)]);
    }
    const double expected = -std::exp(-5 * below / (2 * references)) - 0.001 * tokens[static_cast<std::size_t>(i)];
    largest_difference = std::fmax(largest_difference, std::abs(result[static_cast<std::size_t>(i)] - expected));
  }
  std::printf("first shaped reward %.6f; the CPU's differ by %.1e at most\n", result[0], largest_difference);
  return largest_difference < 1e-6 ? 0 : 1;
}
