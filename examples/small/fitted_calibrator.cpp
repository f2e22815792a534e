// SPDX-License-Identifier: Apache-2.0
// A fitted calibrator: sorts the references of every prompt once, then answers single questions in O(log K).
#include <cstdio>
#include <infalign/infalign.hpp>
#include <vector>

int main() {
  // Prompt 0 has the references 1 … 10, prompt 1 has 1 … 1000: groups of different lengths are `ragged`.
  const std::vector<infalign::index_t> offsets{0, 10, 1010};
  std::vector<double> references;
  for (int i = 1; i <= 10; ++i) references.push_back(i);
  for (int i = 1; i <= 1000; ++i) references.push_back(i);

  infalign::simd on;
  const infalign::calibrator fitted(on, infalign::ragged<const double>(references, offsets));

  bool right = true;
  for (infalign::index_t prompt = 0; prompt < fitted.size(); ++prompt) {
    const auto k = static_cast<double>(fitted[prompt].references());
    for (double i = 1; i <= k; ++i) {
      right = right && fitted[prompt].quantile(i / k) == i;             // the i-th smallest of K
      right = right && fitted[prompt].cdf(i) == (2 * i - 1) / (2 * k);  // i - 1 below, one tie at ½
    }
  }
  std::printf("reward 9 is at quantile %.2f of prompt 0 and %.4f of prompt 1\n", fitted[0].cdf(9.0), fitted[1].cdf(9.0));
  return right ? 0 : 1;
}
