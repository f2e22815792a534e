// SPDX-License-Identifier: Apache-2.0
// A program for every processor: it calls the unit that the processor it runs on can execute.
#include <cmath>
#include <cstdio>
#include <vector>

using rewards = std::vector<float>;
double baseline(const rewards&, const rewards&);
double avx2(const rewards&, const rewards&);
double avx512(const rewards&, const rewards&);

int main() {
  rewards references(64), of_rollouts(32);
  for (int i = 0; i < 64; ++i) references[static_cast<std::size_t>(i)] = static_cast<float>(i * 37 % 64);
  for (int i = 0; i < 32; ++i) of_rollouts[static_cast<std::size_t>(i)] = static_cast<float>(i * 17 % 32) + 0.5f;
  const double expected = baseline(references, of_rollouts);
  std::printf("baseline %.9g", expected);
  bool equal = true;
  const auto check = [&](const char* name, double found) {
    std::printf(", %s %.9g", name, found);
    equal = equal && std::abs(found - expected) < 1e-5;
  };
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) check("avx2", avx2(references, of_rollouts));
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    check("avx512", avx512(references, of_rollouts));
  std::printf("\n");
  return equal ? 0 : 1;
}
