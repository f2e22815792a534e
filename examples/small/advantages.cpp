// SPDX-License-Identifier: Apache-2.0
// From rewards to advantages: calibrate, transform and compare with the other rollouts, in one array; or the gradient of the
// win rate itself, which needs no transform.
#include <cmath>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <vector>

int main() {
  const std::vector<double> references{1, 2, 3, 4}, rewards{0.5, 2.5, 2.5, 4.5};
  const infalign::rows<const double> z(references.data(), 1, 4), y(rewards.data(), 1, 4);
  std::vector<double> composed(4), direct(4), best(4);
  const infalign::rows<double> a(composed.data(), 1, 4), w(direct.data(), 1, 4), b(best.data(), 1, 4);
  infalign::simd on;

  infalign::calibrate_transform(on, z, y, infalign::identity{}, a);  // 0, 1/2, 1/2, 1
  infalign::leave_one_out_advantage(on, a, a);                       // less the mean of the others: -2/3, 0, 0, 2/3
  infalign::win_rate_advantage(on, y, z, infalign::standard{}, infalign::standard{}, w);
  infalign::win_rate_advantage(on, y, z, infalign::best_of(2), infalign::standard{}, b);

  // Against a base sample the rollouts win 0, 1/2, 1/2 and 1. The best of a pair wins 3/4 in the mean over all pairs, 5/6 over
  // those without the first rollout, 1/2 over those without the last: the advantages are 4·(3/4 - 5/6) = -1/3 and 4·(3/4 - 1/2)
  // = 1.
  const double expected[4] = {-2.0 / 3, 0, 0, 2.0 / 3};
  bool right = std::abs(best[0] + 1.0 / 3) < 1e-15 && std::abs(best[3] - 1) < 1e-15;
  for (int i = 0; i < 4; ++i)
    right = right && std::abs(composed[i] - expected[i]) < 1e-15 && std::abs(direct[i] - expected[i]) < 1e-15;
  std::printf("advantages of a mean %.3f … %.3f, of best-of-2 %.3f … %.3f\n", direct[0], direct[3], best[0], best[3]);
  return right ? 0 : 1;
}
