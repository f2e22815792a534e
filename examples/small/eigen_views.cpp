// SPDX-License-Identifier: Apache-2.0
// Eigen matrices as views, without a copy: a row is a prompt. Link infalign::eigen.
#include <Eigen/Core>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <infalign/interop/eigen.hpp>

int main() {
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  matrix base(2, 4), rewards(2, 2);
  base << 1, 2, 3, 4,  //
      10, 20, 30, 40;
  rewards << 2.5f, 4,  //
      5, 45;
  matrix calibrated(2, 2);
  infalign::simd on;
  infalign::calibrate(on, infalign::as_rows(base), infalign::as_rows(rewards), infalign::as_rows(calibrated));

  Eigen::VectorXd wins(2);
  infalign::standard_win_rate(on, infalign::as_rows(rewards), infalign::as_rows(base), infalign::as_span(wins));
  std::printf("win rates %.4f %.4f: the means of the calibrated rewards\n", wins(0), wins(1));
  matrix expected(2, 2);
  expected << 0.5f, 0.875f,  // two of four below; three below and one tie
      0, 1;
  return calibrated == expected && wins(0) == 0.6875 && wins(1) == 0.5 ? 0 : 1;
}
