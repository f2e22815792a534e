// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/tilted_density.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/best_of_poisson.hpp"
#include "infalign/procedure/order_statistic.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "infalign/transform/any_transform.hpp"
#include "support/samples.hpp"

using namespace infalign;

namespace {

constexpr double betas[] = {1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 1e3, 1e4};

bool close(double value, double expected, double relative) {
  return std::abs(value - expected) <= relative * std::abs(expected);
}

/// A procedure of a user: nothing but its distortion.
struct square_of_rank {
  [[nodiscard]] double distortion(double q) const { return q * q; }
};

/// `2·log min(max(u, a), b)` written out, with or without its kinks, and how often its derivative was asked for.
template <bool WithKinks>
struct bent_logarithm {
  static constexpr const char* citation = "none: the logarithm, clamped and doubled";
  static inline int evaluations = 0;
  double a, b;
  [[nodiscard]] double operator()(double u) const { return 2 * std::log(std::min(std::max(u, a), b)); }
  [[nodiscard]] double derivative(double u) const {
    ++evaluations;
    return u < a || u > b ? 0 : 2 / u;
  }
  [[nodiscard]] std::string name() const { return "bent"; }
  [[nodiscard]] std::vector<double> kinks() const
    requires WithKinks
  {
    return {a, b};
  }
};

/// A square that counts how often its derivative was asked for.
struct counted_square {
  static constexpr const char* citation = "none: u²";
  static inline int evaluations = 0;
  [[nodiscard]] double operator()(double u) const { return u * u; }
  [[nodiscard]] double derivative(double u) const {
    ++evaluations;
    return 2 * u;
  }
  [[nodiscard]] std::string name() const { return "square"; }
};

/// A transform whose derivative is what is given.
struct of_slope {
  static constexpr const char* citation = "none: for its derivative";
  double (*slope)(double);
  [[nodiscard]] double operator()(double u) const { return u; }
  [[nodiscard]] double derivative(double u) const { return slope(u); }
  [[nodiscard]] std::string name() const { return "of_slope"; }
};

}  // namespace

TEST_CASE("the logarithm gives the best-of-n policy") {
  for (const double beta : betas) {
    CAPTURE(beta);
    const double n = 1 + 1 / beta;
    const tilted_density policy(logarithm{}, kl_weight(beta));
    CHECK(close(policy.log_normalizer(), -std::log(n), 1e-12));
    CHECK(close(policy.standard_win_rate(), n / (n + 1), 1e-12));
    // log n - (n-1)/n without the cancellation at n near 1: the series in s = 1/β of log(1+s) - s/(1+s).
    const double s = 1 / beta;
    const double kl =
        s > 0.01 ? std::log(n) - (n - 1) / n : s * s * (1.0 / 2 - s * (2.0 / 3 - s * (3.0 / 4 - s * (4.0 / 5 - s * 5 / 6))));
    CHECK(close(policy.kl(), kl, 1e-12));
    for (const double u : {0.01, 0.3, 0.77, 0.999, 1.0}) {
      CHECK(std::abs(policy.cdf(u) - std::pow(u, n)) <= 1e-13);
      CHECK(close(policy.log_density(u), std::log(n) + (n - 1) * std::log(u), 1e-12));
    }
    // Best of n under best-of-m, on both sides: best of n·m against best of m.
    CHECK(close(policy.win_rate(best_of(5), best_of(5)), n / (n + 1), 1e-12));
  }
  CHECK(tilted_density(logarithm{}, kl_weight(0.5)).log_density(0) == -infinity<double>);
  // Far below what the pieces of the density cover.
  CHECK(close(tilted_density(logarithm{}, kl_weight(0.25)).log_density(1e-60), std::log(5) + 4 * std::log(1e-60), 1e-12));
}

TEST_CASE("the identity gives a truncated exponential") {
  for (const double beta : betas) {
    CAPTURE(beta);
    const double s = 1 / beta;
    const tilted_density policy(identity{}, kl_weight(beta));
    // log[β(e^{1/β} - 1)], in series for large β.
    const double log_z = s < 0.01 ? s / 2 + s * s / 24 - s * s * s * s / 2880 : s + std::log(beta) + std::log1p(-std::exp(-s));
    CHECK(close(policy.log_normalizer(), log_z, 1e-12));
    const double mean = s < 0.01 ? 0.5 + s / 12 - s * s * s / 720 : -1 / std::expm1(-s) - beta;
    CHECK(close(policy.standard_win_rate(), mean, 1e-12));
    // For large β, with the Bernoulli numbers: s²/24 - s⁴/960 + s⁶/36288.
    const double kl = s < 0.02 ? s * s / 24 - s * s * s * s / 960 : mean * s - log_z;
    CHECK(close(policy.kl(), kl, s < 0.5 && s > 0.02 ? 1e-11 : 1e-12));
    for (const double u : {0.01, 0.3, 0.77, 0.999})
      CHECK(std::abs(policy.cdf(u) - std::exp(s * (u - 1)) * std::expm1(-s * u) / std::expm1(-s)) <= 1e-13);
  }
}

TEST_CASE("the normal quantile gives a shifted normal") {
  for (const double beta : betas) {
    CAPTURE(beta);
    const tilted_density policy(normal_quantile{}, kl_weight(beta));
    CHECK(close(policy.log_normalizer(), 0.5 / (beta * beta), 1e-12));
    CHECK(close(policy.kl(), 0.5 / (beta * beta), 1e-12));
    CHECK(close(policy.standard_win_rate(), 0.5 * std::erfc(-0.5 / beta), 1e-12));
    CHECK(close(policy.win_rate(standard{}, standard{}), 0.5 * std::erfc(-0.5 / beta), 1e-12));
  }
  const tilted_density policy(normal_quantile{}, kl_weight(0.5));
  // 30-digit quadrature (mpmath).
  CHECK(close(policy.win_rate(best_of(4), best_of(4)), 0.9777163151156233, 1e-12));
  CHECK(close(policy.win_rate(worst_of(4), standard{}), 0.78783898270958795, 1e-12));
  CHECK(std::abs(policy.log_density(0.3) - (2 * normal_quantile()(0.3) - 2)) <= 1e-13);
}

TEST_CASE("log Z, KL and standard win rate, right from beta 1e-4 to 1e4") {
  struct row {
    const char* transform;
    double beta, log_normalizer, kl, win_rate;
  };
  // 40-digit quadrature (mpmath), panels doubling from the layer.
  constexpr row rows[] = {
      {"exponential:10", 1e-4, 220264636.4351417, 20.512925455890242, 0.9999999995460007},
      {"exponential:10", 1e4, 0.36301013199698591, 0.19684992875138535, 0.63071571555443206},
      {"exponential:-10", 1e-4, -2.7811036089722072, 1.7562813226574825, 0.93300476349725609},
      {"exponential:5", 0.5, 289.52711927865692, 6.295795396606518, 0.99932161090701502},
      {"exponential:-5", 1e4, -1.9864938400411484e-5, 3.0265581478458407e-10, 0.50000609425230993},
      {"power:3", 1e-3, 991.99429999023505, 7.0050315583224621, 0.99966622095785039},
      {"power:0.5", 0.2, 3.8622487864048326, 0.37724087593362287, 0.73915917298707644},
      {"identity", 1e4, 5.0000416666666632e-5, 4.166666665625e-10, 0.50000833333333194},
      {"identity", 1e-4, 9990.7896596280238, 8.2103403719761827, 0.9999},
  };
  for (const row& r : rows) {
    CAPTURE(r.transform);
    CAPTURE(r.beta);
    const tilted_density policy(parse_transform(r.transform), kl_weight(r.beta));
    CHECK(close(policy.log_normalizer(), r.log_normalizer, 1e-11));
    CHECK(close(policy.kl(), r.kl, 1e-11));
    CHECK(close(policy.standard_win_rate(), r.win_rate, 1e-12));
    CHECK(close(policy.win_rate(standard{}, standard{}), r.win_rate, 1e-12));
  }
}

TEST_CASE("win rates of differing procedures") {
  // 30-digit quadrature with the closed form of F (mpmath).
  const tilted_density policy(identity{}, kl_weight(0.1));
  CHECK(close(policy.win_rate(best_of(4), standard{}), 0.97500151329664264, 1e-12));
  CHECK(close(policy.win_rate(worst_of(8), best_of(2)), 0.54576119140347701, 1e-12));
  CHECK(close(policy.win_rate(order_statistic(3, 5), best_of(4)), 0.73208118265386378, 1e-12));
  const tilted_density sharper(identity{}, kl_weight(0.01));
  CHECK(close(sharper.win_rate(best_of(64), best_of(64)), 0.99009749289141325, 1e-12));
  CHECK(close(sharper.win_rate(best_of_poisson(3), worst_of(3)), 0.99999950637721509, 1e-12));
  // A large N has structure within 1/N of an end.
  CHECK(close(tilted_density(logarithm{}, kl_weight(1)).win_rate(best_of(1'000'000), best_of(1'000'000)), 2.0 / 3, 1e-9));
}

TEST_CASE("a procedure with its distortion alone") {
  const tilted_density policy(exponential(5), kl_weight(30));
  CHECK(close(policy.win_rate(square_of_rank{}, square_of_rank{}), policy.win_rate(best_of(2), best_of(2)), 1e-13));
  CHECK(close(policy.win_rate(square_of_rank{}, worst_of(3)), policy.win_rate(best_of(2), worst_of(3)), 1e-13));
}

TEST_CASE("a factor is a change of beta, an offset changes Z alone") {
  const tilted_density plain(exponential(-5), kl_weight(0.1));
  const tilted_density changed(shifted<scaled<exponential>>(scaled<exponential>(exponential(-5), 3), 2), kl_weight(0.3));
  CHECK(close(changed.kl(), plain.kl(), 1e-12));
  CHECK(close(changed.log_normalizer(), plain.log_normalizer() + 2 / 0.3, 1e-12));
  const tilted_density normal(scaled<shifted<normal_quantile>>(shifted<normal_quantile>(normal_quantile{}, 3), 2),
                              kl_weight(1));
  CHECK(close(normal.kl(), 2, 1e-12));
  CHECK(close(normal.log_normalizer(), 2 + 6, 1e-12));
  CHECK(close(normal.log_density(0.5), -2, 1e-12));
}

TEST_CASE("kinks: clamped and tabulated transforms by their pieces") {
  // Φ = clamp(u, a, b): Z = a·e^{a/β} + β(e^{b/β} - e^{a/β}) + (1-b)·e^{b/β}.
  const double a = 0.2, b = 0.9, beta = 0.1;
  const tilted_density policy(clamped<identity>(identity{}, a, b), kl_weight(beta));
  const double low = std::exp(a / beta), high = std::exp(b / beta);
  const double z = a * low + beta * (high - low) + (1 - b) * high;
  CHECK(close(policy.log_normalizer(), std::log(z), 1e-12));
  CHECK(std::abs(policy.cdf(0.95) - (1 - 0.05 * high / z)) <= 1e-13);
  CHECK(std::abs(policy.cdf(0.1) - 0.1 * low / z) <= 1e-13);
  // A table of a straight line is the identity; of a bent one, its clamped form where the cubic is exact.
  const tilted_density table(tabulated({0, 0.25, 0.5, 1}, {0, 0.25, 0.5, 1}), kl_weight(beta));
  CHECK(close(table.kl(), tilted_density(identity{}, kl_weight(beta)).kl(), 1e-12));
  // A constant transform leaves the base.
  const tilted_density flat(tabulated({0, 1}, {2, 2}), kl_weight(beta));
  CHECK(flat.kl() == doctest::Approx(0).epsilon(1e-15));
  CHECK(close(flat.standard_win_rate(), 0.5, 1e-14));
}

TEST_CASE("a clamp of what is infinite leaves it infinite at the other end") {
  struct row {
    double beta, log_normalizer, kl, mean, win_rate;
  };
  // 30-digit quadrature (mpmath) in the normal quantile, best-of-4 on both sides.
  for (const row& r : {row{0.3, 5.5555589843005418, 5.5555006934014244, 0.99078566722596997, 0.99948616128169827},
                       row{1, 0.50556424601933015, 0.48561876839680104, 0.7562044653091725, 0.84379233391961058}}) {
    const tilted_density policy(parse_transform("clamped:0.1:1:normal_quantile"), kl_weight(r.beta));
    CHECK(close(policy.log_normalizer(), r.log_normalizer, 1e-12));
    CHECK(close(policy.kl(), r.kl, 1e-12));
    CHECK(close(policy.standard_win_rate(), r.mean, 1e-12));
    CHECK(close(policy.win_rate(best_of(4), best_of(4)), r.win_rate, 1e-12));
  }
  // Far from the clamp nothing is left of it: all mass is within e^-200 of 1.
  const tilted_density far(parse_transform("clamped:0.1:1:normal_quantile"), kl_weight(0.05));
  CHECK(close(far.kl(), 200, 1e-12));
  CHECK(close(far.log_normalizer(), 200, 1e-12));
  const tilted_density scaled_up(scaled(clamped(normal_quantile{}, 1e-6, 1), 1e10), kl_weight(1e9));
  CHECK(close(scaled_up.kl(), 50, 1e-12));
}

TEST_CASE("transforms that are infinite at 1, or vary only there") {
  // Φ = -log(1-u): Z = β/(β-1), and 1-u has the density of the best of 1 - 1/β. Given by values of u alone, it ends at 1 - 2^-53.
  const of_slope pole{[](double u) { return 1 / (1 - u); }};
  for (const double beta : {2.0, 5.0, 100.0}) {
    CAPTURE(beta);
    const double s = 1 / beta;
    const double rounding = 53 * std::pow(2.0, -53 * (1 - s));
    CHECK(close(tilted_density(pole, kl_weight(beta)).kl(), std::log1p(-s) + s / (1 - s), rounding + 1e-12));
  }
  // The largest of u^P over all is within 1/P of 1. At β = 1: Z = 1 + Σ 1/(k!·(kP + 1)), KL = E[Φ] - log Z.
  for (const double power_of : {1e3, 1e10, 1e18}) {
    CAPTURE(power_of);
    // Of order 1/P: Σ 1/(k!·k) = Ei(1) - γ over the layer for Z - 1, and ∫ (e^x - 1)/x = e - 1 for ∫ Φ·e^Φ.
    const double rest = 1.3179021514544038 / power_of, mean = 1.7182818284590452 / power_of;
    CHECK(close(tilted_density(power(power_of), kl_weight(1)).kl(), mean - rest, 4 / power_of + 1e-12));
  }
  // Where less than 1e-16 of u is in the layer, what is left of the KL is the square of the rounding error of log Z.
  CHECK(std::abs(tilted_density(power(1e90), kl_weight(1)).kl()) <= 1e-30);
}

TEST_CASE("transforms that fall: the largest value may be at 0, or between") {
  // Φ = -u is the identity from the other end.
  const tilted_density falling(of_slope{[](double) { return -1.0; }}, kl_weight(0.001));
  const tilted_density rising(identity{}, kl_weight(0.001));
  CHECK(close(falling.kl(), rising.kl(), 1e-12));
  CHECK(close(falling.standard_win_rate(), 1 - rising.standard_win_rate(), 1e-12));
  // Φ = -(u - ½)²: a normal distribution of variance β/2, cut off 50 standard deviations away.
  const double beta = 2e-4;
  const tilted_density peaked(of_slope{[](double u) { return 1 - 2 * u; }}, kl_weight(beta));
  CHECK(close(peaked.standard_win_rate(), 0.5, 1e-12));
  CHECK(close(peaked.kl(), -0.5 * (1 + std::log(3.14159265358979323846 * beta)), 1e-12));
}

TEST_CASE("small beta: right as long as the layer at 1 can be resolved, then an error") {
  // Φ = u: KL = -1 - log β as β -> 0.
  for (const double beta : {1e-100, 1e-200, 1e-279}) {
    CAPTURE(beta);
    CHECK(close(tilted_density(identity{}, kl_weight(beta)).kl(), -1 - std::log(beta), 1e-12));
  }
  CHECK_THROWS_WITH_AS(tilted_density(identity{}, kl_weight(1e-300)),
                       "tilted_density: beta is 1e-300, too small for identity: the policy would have mass "
                       "closer to 1 than can be resolved",
                       domain_error);
  for (const char* name : {"identity", "logarithm", "exponential:700", "exponential:-10", "power:0.001", "normal_quantile",
                           "clamped:0.1:1:normal_quantile", "clamped:0.1:0.9:logarithm"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(tilted_density(parse_transform(name), kl_weight(1e-309)), domain_error);
  }
}

TEST_CASE("transforms that cannot be integrated are named") {
  const auto of = [](double (*slope)(double)) { return tilted_density(of_slope{slope}, kl_weight(1)); };
  CHECK_THROWS_WITH_AS(of([](double) { return std::nan(""); }),
                       doctest::Contains("tilted_density: the derivative of of_slope is nan at u = "), domain_error);
  CHECK_THROWS_WITH_AS(of([](double u) { return 1 / std::abs(u - 0.5); }),
                       "tilted_density: the derivative of of_slope is inf at u = 0.5, must be finite", domain_error);
  CHECK_THROWS_WITH_AS(of([](double u) { return 2 + std::sin(1e9 * u * u); }),
                       doctest::Contains("tilted_density: of_slope takes more than 20000 pieces to be integrated"),
                       domain_error);
  CHECK_THROWS_WITH_AS(tilted_density(exponential(1e-308), kl_weight(1)),
                       doctest::Contains("tilted_density: the derivative of exponential:1e-308 by the logit is at most "
                                         "2.4999999999999973e-309, must be 0 or somewhere at least"),
                       domain_error);
  std::vector<double> u, values;
  for (int i = 0; i <= 20'000; ++i) u.push_back(i / 20'000.0), values.push_back(i);
  CHECK_THROWS_WITH_AS(tilted_density(tabulated(u, values), kl_weight(1)),
                       "tilted_density: tabulated:20001 has 19999 kinks, the most are 10000", domain_error);
}

TEST_CASE("kinks of a composition are resolved as those of the same formula written out") {
  // log(clamp(u², a², b²)) = 2·log(clamp(u, a, b)). With s = 2/β: Z = a^{s+1} + (b^{s+1} - a^{s+1})/(s+1) + (1-b)·b^s.
  const double a = 0.3, b = 0.8;
  const composed transform(clamped<logarithm>(logarithm{}, a * a, b * b), counted_square{});
  for (const double beta : {0.02, 0.3, 5.0}) {
    CAPTURE(beta);
    counted_square::evaluations = bent_logarithm<true>::evaluations = bent_logarithm<false>::evaluations = 0;
    const tilted_density policy(transform, kl_weight(beta));
    const tilted_density written_out(bent_logarithm<true>{a, b}, kl_weight(beta));
    const tilted_density without_kinks(bent_logarithm<false>{a, b}, kl_weight(beta));
    const double s = 2 / beta;
    const double rise = (std::pow(b, s + 1) - std::pow(a, s + 1)) / (s + 1);
    const double z = std::pow(a, s + 1) + rise + (1 - b) * std::pow(b, s);
    CHECK(close(policy.log_normalizer(), std::log(z), 1e-12));
    CHECK(std::abs(policy.cdf(a) - std::pow(a, s + 1) / z) <= 1e-13);
    CHECK(std::abs(policy.cdf(b) - (1 - (1 - b) * std::pow(b, s) / z)) <= 1e-13);
    CHECK(close(policy.kl(), written_out.kl(), 1e-12));
    CHECK(close(policy.win_rate(best_of(4), standard{}), written_out.win_rate(best_of(4), standard{}), 1e-12));
    // As many pieces as for the formula written out, and far fewer than the search for unknown kinks takes.
    CHECK(counted_square::evaluations <= 1.1 * bent_logarithm<true>::evaluations);
    CHECK(2 * counted_square::evaluations <= bent_logarithm<false>::evaluations);
  }
}

TEST_CASE("the quantile inverts the CDF, and draws follow it") {
  for (const double beta : {1e-4, 0.1, 100.0}) {
    const tilted_density policy(exponential(5), kl_weight(beta));
    for (const double p : {1e-6, 0.1, 0.5, 0.9, 1 - 1e-9}) {
      CAPTURE(beta);
      CAPTURE(p);
      CHECK(std::abs(policy.cdf(policy.quantile(p)) - p) <= 1e-12 + 1e-16 * policy.density(policy.quantile(p)));
    }
    CHECK(policy.quantile(0) == 0);
    CHECK(policy.quantile(1) == 1);
  }
  const tilted_density policy(identity{}, kl_weight(0.2));
  std::mt19937_64 generator(7);
  const int drawn = infalign::test::draws(100'000);
  double sum = 0, squares = 0;
  for (int i = 0; i < drawn; ++i) {
    const double u = policy.sample(generator);
    sum += u;
    squares += u * u;
  }
  const double mean = sum / drawn;
  const double error = std::sqrt((squares / drawn - mean * mean) / drawn);
  CHECK(std::abs(mean - policy.standard_win_rate()) <= 4 * error);
}

TEST_CASE("tilted_density: bad input") {
  CHECK_THROWS_WITH_AS(tilted_density(identity{}, kl_weight(0)), "tilted_density: beta is 0, must be positive", domain_error);
  const tilted_density policy(identity{}, kl_weight(1));
  CHECK_THROWS_AS((void)policy.cdf(1.5), domain_error);
  CHECK_THROWS_AS((void)policy.quantile(std::nan("")), domain_error);
  CHECK_THROWS_AS((void)policy.density(-0.1), domain_error);
}
