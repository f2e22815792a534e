// SPDX-License-Identifier: Apache-2.0
// More than one core: hand the backend a callable that runs its tasks, here on two threads. Results do not depend on it.
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <thread>
#include <vector>

int main() {
  const auto two_threads = [](std::size_t tasks, auto&& task) {
    std::thread other([&] {
      for (std::size_t i = 1; i < tasks; i += 2) task(i);
    });
    for (std::size_t i = 0; i < tasks; i += 2) task(i);
    other.join();
  };
  constexpr infalign::index_t prompts = 300, samples = 65;
  std::vector<double> rewards(prompts * samples), alone(rewards.size()), shared(rewards.size());
  for (std::size_t i = 0; i < rewards.size(); ++i) rewards[i] = std::sin(static_cast<double>(i));
  const infalign::rows<const double> all(rewards.data(), prompts, samples);

  infalign::simd on_this_thread, on_two(two_threads);
  infalign::calibrate_leave_one_out(on_this_thread, all, infalign::rows<double>(alone.data(), prompts, samples));
  infalign::calibrate_leave_one_out(on_two, all, infalign::rows<double>(shared.data(), prompts, samples));

  // Every pair of samples of a prompt shares one win, so that the mean is exactly ½.
  double mean = 0;
  for (const double u : shared) mean += u / static_cast<double>(rewards.size());
  std::printf("mean calibrated reward %.6f, on two threads as on one: %s\n", mean, shared == alone ? "yes" : "no");
  return shared == alone && std::abs(mean - 0.5) < 1e-9 ? 0 : 1;
}
