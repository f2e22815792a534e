// SPDX-License-Identifier: Apache-2.0
/// \file
/// Polynomials of degree 16 through Chebyshev points. The theory headers build functions, integrals and solutions of
/// differential equations from such pieces. With enough pieces, a smooth function is represented up to rounding error.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

namespace infalign::detail {

/// The points `x_i = -cos(πi/16)` of [-1, 1], and the matrices that act on the values of a polynomial at them. `l_j` is the
/// polynomial that is 1 at `x_j` and 0 at the other points.
class chebyshev {
 public:
  static constexpr int size = 17;
  using values = std::array<double, size>;
  using matrix = std::array<values, size>;

  values node;      ///< `x_i`, ascending
  values weight;    ///< weights of the integral over [-1, 1] (Clenshaw and Curtis), exact for the polynomial
  matrix integral;  ///< `integral[j][i]` = `∫_{-1}^{x_i} l_j`; j comes first so that a product is a sum of contiguous arrays
  matrix area;      ///< `area[i][j]` = `∫ l_i·l_j'`

  static const chebyshev& points() {
    static const chebyshev instance;
    return instance;
  }

  /// `∫_{-1}^{x_i} p` at every point.
  [[nodiscard]] values primitive(const values& p) const {
    values sum{};
    for (std::size_t j = 0; j < size; ++j)
      for (std::size_t i = 0; i < size; ++i) sum[i] += p[j] * integral[j][i];
    return sum;
  }
  /// `p'` at every point.
  [[nodiscard]] values derivative(const values& p) const {
    values slope{};
    for (std::size_t i = 0; i < size; ++i)
      for (std::size_t j = 0; j < size; ++j)
        if (j != i) slope[i] += sign_ratio(i, j) / (node[i] - node[j]) * (p[j] - p[i]);
    return slope;
  }
  [[nodiscard]] double integrate(const values& p) const {
    double sum = 0;
    for (std::size_t i = 0; i < size; ++i) sum += weight[i] * p[i];
    return sum;
  }
  /// `∫ a db` over [-1, 1].
  [[nodiscard]] double stieltjes(const values& a, const values& b) const {
    double sum = 0;
    for (std::size_t i = 0; i < size; ++i)
      for (std::size_t j = 0; j < size; ++j) sum += a[i] * area[i][j] * (b[j] - b[0]);
    return sum;
  }
  /// An estimate of what a higher degree would still change: the largest of the last three Chebyshev coefficients.
  [[nodiscard]] double tail(const values& p) const {
    std::array<double, tail_size> sum{};
    for (std::size_t k = 0; k < tail_size; ++k)
      for (std::size_t i = 0; i < size; ++i) sum[k] += last_[k][i] * (p[i] - p[0]);
    return std::max({std::abs(sum[0]), std::abs(sum[1]), std::abs(sum[2])});
  }
  /// The polynomial at `x` in [-1, 1], by the barycentric formula (Berrut and Trefethen, SIAM Review 46, 2004).
  [[nodiscard]] double interpolate(const values& p, double x) const {
    double numerator = 0;
    double denominator = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const double distance = x - node[i];
      if (distance == 0) return p[i];
      const double share = (i == 0 || i + 1 == size ? 0.5 : 1.0) * (i % 2 == 0 ? 1 : -1) / distance;
      numerator += share * p[i];
      denominator += share;
    }
    return numerator / denominator;
  }

 private:
  /// The barycentric weight of point j over that of point i.
  static double sign_ratio(std::size_t i, std::size_t j) {
    const auto weight_of = [](std::size_t k) { return (k == 0 || k + 1 == size ? 0.5 : 1.0) * (k % 2 == 0 ? 1 : -1); };
    return weight_of(j) / weight_of(i);
  }

  static constexpr std::size_t tail_size = 3;
  std::array<values, tail_size> last_;

  chebyshev() {
    constexpr double pi = 3.14159265358979323846;
    constexpr std::size_t degree = size - 1;
    matrix cosine;       // T_k(x_i)
    matrix coefficient;  // of T_k in l_i
    for (std::size_t k = 0; k < size; ++k)
      for (std::size_t i = 0; i < size; ++i) {
        const double t = std::cos(pi * static_cast<double>(k) * static_cast<double>(degree - i) / degree);
        const double halves = (k == 0 || k == degree ? 0.5 : 1.0) * (i == 0 || i == degree ? 0.5 : 1.0);
        cosine[k][i] = t;
        coefficient[k][i] = 2.0 / degree * halves * t;
      }
    for (std::size_t i = 0; i < size; ++i) node[i] = i == degree / 2 ? 0.0 : cosine[1][i];
    for (std::size_t k = 0; k < tail_size; ++k) last_[k] = coefficient[size - tail_size + k];
    for (std::size_t i = 0; i < size; ++i)
      for (std::size_t j = 0; j < size; ++j) {
        double below = 0;
        for (std::size_t k = 0; k < size; ++k) below += coefficient[k][j] * primitive_of(k, cosine, i);
        integral[j][i] = i == 0 ? 0.0 : below;
      }
    for (std::size_t j = 0; j < size; ++j) weight[j] = integral[j][degree];
    fill_area(coefficient);
  }

  /// `∫_{-1}^{x_i} T_k`.
  static double primitive_of(std::size_t k, const matrix& cosine, std::size_t i) {
    const double x = cosine[1][i];
    if (k == 0) return x + 1;
    if (k == 1) return 0.5 * (x * x - 1);
    const auto at = [&](std::size_t j) { return j < size ? cosine[j][i] : 2 * x * cosine[size - 1][i] - cosine[size - 2][i]; };
    const double sign = k % 2 == 0 ? -1 : 1;  // (-1)^{k+1}, the value of T_{k±1} at -1
    return 0.5 * ((at(k + 1) - sign) / static_cast<double>(k + 1) - (at(k - 1) - sign) / static_cast<double>(k - 1));
  }
  /// `∫ T_k`.
  static double moment(std::size_t k) { return k % 2 == 0 ? 2.0 / (1.0 - static_cast<double>(k * k)) : 0.0; }

  void fill_area(const matrix& coefficient) {
    matrix rise{};  // ∫ T_a·T_b', with T_b' = 2b·(T_{b-1} + T_{b-3} + …), the term of T_0 halved
    for (std::size_t a = 0; a < size; ++a)
      for (std::size_t b = 1; b < size; ++b)
        for (std::size_t above = b + 1; above >= 2; above -= 2) {
          const std::size_t k = above - 2;
          rise[a][b] += (k == 0 ? 1.0 : 2.0) * static_cast<double>(b) * 0.5 * (moment(a + k) + moment(a > k ? a - k : k - a));
        }
    matrix half{};
    for (std::size_t a = 0; a < size; ++a)
      for (std::size_t j = 0; j < size; ++j)
        for (std::size_t b = 0; b < size; ++b) half[a][j] += rise[a][b] * coefficient[b][j];
    for (std::size_t i = 0; i < size; ++i)
      for (std::size_t j = 0; j < size; ++j) {
        area[i][j] = 0;
        for (std::size_t a = 0; a < size; ++a) area[i][j] += coefficient[a][i] * half[a][j];
      }
  }
};

}  // namespace infalign::detail
