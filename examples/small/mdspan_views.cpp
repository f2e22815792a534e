// SPDX-License-Identifier: Apache-2.0
// A multidimensional span as a view without a copy: std::mdspan (C++23), Kokkos' mdspan, or a type of your own with their members.
#include <array>
#include <cstddef>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <infalign/interop/mdspan.hpp>
#include <vector>

struct matrix_span {  // what is used of std::mdspan<double, std::dextents<long, 2>, std::layout_stride>
  using element_type = double;
  using rank_type = std::size_t;
  double* data;
  std::array<long, 2> sizes, distances;
  static constexpr std::size_t rank() { return 2; }
  [[nodiscard]] long extent(std::size_t d) const { return sizes[d]; }
  [[nodiscard]] long stride(std::size_t d) const { return distances[d]; }
  [[nodiscard]] double* data_handle() const { return data; }
};

int main() {
  std::vector<double> memory{0, 1, 1, 0, 0, 1, 0, 0, 0, 1};    // five attempts of two prompts
  const matrix_span passed{memory.data(), {2, 5}, {5, 1}};     // all of them
  const matrix_span later{memory.data() + 1, {2, 4}, {5, 1}};  // without the first
  std::vector<double> of_all(2), of_later(2);
  infalign::simd on;
  infalign::expected_reward(on, infalign::as_rows(passed), infalign::best_of(2), of_all);
  infalign::expected_reward(on, infalign::as_rows(later), infalign::best_of(2), of_later);
  std::printf("pass@2 %.4f %.4f, without the first attempt %.4f %.4f\n", of_all[0], of_all[1], of_later[0], of_later[1]);
  const auto off = [](double seen, double failed, double n) { return seen - 1 + failed * (failed - 1) / (n * (n - 1)); };
  const double apart[] = {off(of_all[0], 3, 5), off(of_all[1], 3, 5), off(of_later[0], 2, 4), off(of_later[1], 3, 4)};
  for (const double d : apart)
    if (!(d < 1e-12 && d > -1e-12)) return 1;
  return 0;
}
