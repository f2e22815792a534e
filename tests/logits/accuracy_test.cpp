// SPDX-License-Identifier: Apache-2.0
/// \file
/// How exact everything is that a row of logits gives. The bounds are those that `compute_token_statistics` and `policy_gradient`
/// state; the truth is long double (exact_row.hpp) and, for some rows, 50 digits (exact_rows.hpp).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "infalign/logits/passes.hpp"
#include "infalign/objective/loss/reinforce.hpp"
#include "infalign/objective/policy_gradient.hpp"
#include "logits/exact_row.hpp"
#include "logits/exact_rows.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::compute_t;
using infalign::index_t;
using infalign::row_coefficients;
using infalign::row_state;
using infalign::row_statistics;
using infalign::test::row_case;
namespace test = infalign::test;

namespace {

/// The stated bounds, for logits of type `L`.
template <class C, class L>
struct row_bounds {
  using T = compute_t<L>;
  using team = typename C::backend::team_type;
  using vec = typename team::template vec<T>;
  using lane = typename infalign::detail::lane<vec>::type;

  static constexpr std::size_t lanes = sizeof(vec) / sizeof(lane);
  static constexpr double epsilon = std::numeric_limits<lane>::epsilon() / 2;
  /// The values that a lane adds up in a chunk.
  static constexpr double added = static_cast<double>(team::template chunk<T>()) / static_cast<double>(lanes);
  /// The relative error of a sum of exponentials. `plateau`: thousands of logits are equal, so that rounding goes in the same
  /// direction again and again; elsewhere it is a random walk.
  static double of_sums(bool plateau) { return (plateau ? added + 32 : 2 * std::sqrt(added) + 16) * epsilon; }

  static double log_prob(double exact, bool plateau) { return of_sums(plateau) + 0x1p-52 * std::abs(exact); }
  static double entropy(double exact, bool plateau) { return of_sums(plateau) * exact + 1e-30; }
  /// `far`: the offsets of the rows differ by more than 8.
  static double kl(double exact, bool plateau, bool far) {
    return (plateau ? 32 : 8) * of_sums(plateau) * exact + 8 * (0x1p-53 + (far ? epsilon : 0)) * std::sqrt(exact) +
           epsilon * 1e-12;
  }
  /// `unit`: the terms of the entry with their magnitudes, `p·[…]`.
  static double gradient(double depth, double unit, bool plateau) { return 2 * (of_sums(plateau) + depth * epsilon) * unit; }
  /// An entry is rounded once to its type; the least probabilities are 0.
  static double gradient_rounding(double entry, double factor) {
    return 2 * std::numeric_limits<T>::epsilon() * std::abs(entry) + 8 * std::numeric_limits<T>::min() * factor;
  }
};

/// A row, its truth, and how the two policies lie to each other.
template <class L>
struct known_row {
  row_case how;
  test::row_pair<L> rows;
  test::exact_row truth;
  bool plateau;            ///< thousands of logits are equal
  bool far;                ///< the offsets of the rows differ by more than 8
  long double top_ratio;   ///< between the largest logits of both
  long double mean_ratio;  ///< `E_p[l - b]`, measured from the largest logits of each
  long double mean_depth;  ///< of both

  explicit known_row(const row_case& c) : how(c), rows(c), truth(rows.policy, rows.base), mean_ratio(0), mean_depth(0) {
    top_ratio = truth.top() - truth.base_top();
    far = std::abs(top_ratio) > 8;
    std::size_t equal = 0;
    for (std::size_t j = 0; j < rows.policy.size(); ++j) {
      const long double p = truth.probability(j);
      if (j > 0 && p > 0) equal += same(rows.policy, j) || same(rows.base, j) ? 1 : 0;
      if (p > 0) mean_ratio += p * (truth.base_depth(j) - truth.depth(j));
      if (p > 0) mean_depth += p * (truth.base_depth(j) + truth.depth(j));
    }
    plateau = equal > rows.policy.size() / 16;
  }
  static bool same(const std::vector<L>& row, std::size_t j) {
    return static_cast<compute_t<L>>(row[j]) == static_cast<compute_t<L>>(row[j - 1]);
  }
  [[nodiscard]] std::int32_t likely() const { return static_cast<std::int32_t>(truth.likeliest()); }
  [[nodiscard]] std::int32_t unlikely() const { return static_cast<std::int32_t>(how.columns / 3); }

  /// The terms of entry `j` by their magnitudes, without `p`.
  [[nodiscard]] double unit(std::size_t j, const row_coefficients& c, long double late) const {
    const long double offset = far ? truth.depth(j) + truth.base_depth(j) + mean_depth + 2 * late
                                   : std::abs(top_ratio) + std::abs(top_ratio + mean_ratio) + std::sqrt(2 * truth.kl);
    const long double of_kl = std::abs(truth.log_ratio(j) + truth.kl) + offset;
    const long double of_entropy = 1 + std::abs(truth.log_prob(j) + truth.entropy);
    return static_cast<double>(std::abs(c.score) + c.kl * of_kl + c.entropy * of_entropy);
  }
  /// How far the largest logit lies above the first chunk, from which logits are measured unless that is more than 32.
  [[nodiscard]] long double late(index_t chunk) const {
    long double first = -infalign::infinity<long double>;
    for (std::size_t j = 0; j < rows.policy.size() && j < static_cast<std::size_t>(chunk); ++j)
      first = std::max(first, -truth.depth(j));
    return std::min(-first, 32.0L);
  }
  /// What is lost of differences of offsets, which are taken in double, and of the truth's logarithms.
  [[nodiscard]] double small_parts() const { return static_cast<double>(0x1p-52L * std::abs(top_ratio) + 0x1p-58L); }
  [[nodiscard]] std::string name() const {
    std::ostringstream out;
    out << how.columns << " columns, spread " << how.spread << ", noise " << how.noise << "*" << how.reach << ", offsets "
        << how.offset << " and " << how.base_offset << ", " << how.lift << " and " << how.bump << " at " << how.lifted
        << ", masked " << how.masked << ", KL " << static_cast<double>(truth.kl) << ", entropy "
        << static_cast<double>(truth.entropy);
    return out.str();
  }
};

template <class C, class L>
using row_of = infalign::token_logits<L, typename C::backend::memory_space>;

/// What the library makes of one row.
template <class C, class L>
struct row_on_backend {
  using T = compute_t<L>;
  typename C::backend on = C::make_backend();
  index_t columns;
  typename C::template array<L> policy;
  typename C::template array<L> base;
  typename C::template array<std::int32_t> token;
  typename C::template array<T> entries;

  row_on_backend(const test::row_pair<L>& rows, std::int32_t id)
      : columns(static_cast<index_t>(rows.policy.size())),
        policy(rows.policy),
        base(rows.base),
        token(std::vector<std::int32_t>{id}),
        entries(columns) {}

  row_of<C, L> logits() { return {policy.rows(1, columns), base.rows(1, columns), token.span()}; }

  row_statistics statistics() {
    typename C::template array<row_state> state(1);
    typename C::template array<row_statistics> result(1);
    constexpr infalign::logit_terms all{.kl = true, .entropy = true};
    infalign::read_logits(on, logits(), all, state.span());
    infalign::finish_rows(on, all, state.span(), result.span());
    return result.host()[0];
  }
  std::vector<T> gradient(const row_statistics& s, const row_coefficients& c) {
    typename C::template array<row_statistics> of_row(std::vector<row_statistics>{s});
    typename C::template array<row_coefficients> coefficients(std::vector<row_coefficients>{c});
    infalign::write_logit_gradient(on, logits(), of_row.span(), coefficients.span(), entries.rows(1, columns));
    return entries.host();
  }
  std::vector<T> fused_gradient(const row_coefficients& c) {
    typename C::template array<double> advantage(std::vector<double>{c.score});
    infalign::policy_gradient(on, infalign::reinforce{}, logits(), advantage.span(),
                              {infalign::kl_weight(c.kl), infalign::entropy_weight(c.entropy)},
                              infalign::token_statistics<T, typename C::backend::memory_space>{}, entries.rows(1, columns));
    return entries.host();
  }
};

double difference(double got, long double exact) {
  return static_cast<double>(std::abs(static_cast<long double>(got) - exact));
}

/// The largest error of a gradient in terms of its bound.
template <class C, class L>
double gradient_error(const known_row<L>& row, const std::vector<compute_t<L>>& got, std::int32_t token,
                      const row_coefficients& c) {
  using bounds = row_bounds<C, L>;
  const long double late = row.late(C::backend::team_type::template chunk<compute_t<L>>());
  double worst = 0;
  for (std::size_t j = 0; j < got.size(); ++j) {
    const long double exact = row.truth.gradient(j, static_cast<std::size_t>(token), c);
    const double p = static_cast<double>(row.truth.probability(j));
    double allowed = bounds::gradient_rounding(static_cast<double>(exact), 0);
    if (p > 0) {
      const double unit = row.unit(j, c, late);
      allowed = bounds::gradient(static_cast<double>(row.truth.depth(j) + late), p * unit, row.plateau) +
                bounds::gradient_rounding(static_cast<double>(exact), 1 + unit) + p * c.kl * row.small_parts();
    }
    const double error = difference(static_cast<double>(got[j]), exact);
    if (error > 0) worst = test::larger(worst, error / allowed);
  }
  return worst;
}

/// The statistics of a row, with a likely token and with an unlikely one.
template <class C, class L>
void check_statistics(const known_row<L>& row) {
  using bounds = row_bounds<C, L>;
  for (const std::int32_t token : {row.likely(), row.unlikely()}) {
    const row_statistics s = row_on_backend<C, L>(row.rows, token).statistics();
    const auto t = static_cast<std::size_t>(token);
    const long double log_prob = row.truth.log_prob(t), base_log_prob = row.truth.base_log_prob(t);
    if (row.truth.probability(t) > 0) {
      CHECK(difference(s.log_prob(), log_prob) <= bounds::log_prob(static_cast<double>(log_prob), row.plateau));
      CHECK(difference(s.base_log_prob(), base_log_prob) <= bounds::log_prob(static_cast<double>(base_log_prob), row.plateau));
    }
    const auto kl = static_cast<double>(row.truth.kl), entropy = static_cast<double>(row.truth.entropy);
    CHECK(difference(s.kl, row.truth.kl) <= bounds::kl(kl, row.plateau, row.far));
    CHECK(difference(s.entropy, row.truth.entropy) <= bounds::entropy(entropy, row.plateau));
  }
}

/// Gradients of one term and of all, by the passes apart and by both in one.
template <class C, class L>
void check_gradients(const known_row<L>& row) {
  const row_coefficients all{0.75, 0.25, 0.125};
  row_on_backend<C, L> likely(row.rows, row.likely()), unlikely(row.rows, row.unlikely());
  const row_statistics s = likely.statistics();
  for (const row_coefficients& c : {all, {0, 1, 0}, {0, 0, 1}})
    CHECK(gradient_error<C, L>(row, likely.gradient(s, c), row.likely(), c) <= 1);
  CHECK(gradient_error<C, L>(row, unlikely.fused_gradient(all), row.unlikely(), all) <= 1);
}

template <class C, class L>
void check_row(const row_case& c) {
  const known_row<L> row(c);
  CAPTURE(row.name());
  check_statistics<C, L>(row);
  check_gradients<C, L>(row);
}

/// The row in the type of the configuration, and where lanes are `float` also in 16 bits.
template <class C>
void check_types(const row_case& c) {
  check_row<C, typename C::value>(c);
  if constexpr (std::is_same_v<typename row_bounds<C, typename C::value>::lane, float>) {
    check_row<C, infalign::bfloat16>(c);
    if (std::max(c.offset, c.base_offset) < 6e4) check_row<C, infalign::half>(c);
  }
}

constexpr double flat = 0x1p-22, normal = 3 * 0x1p-15, certain = 0x1p-10;  // standard deviations of 0.01, 3.5 and 37
constexpr double millionth = 0x1p-20;
constexpr std::int64_t reaches[] = {1 << 21, 1 << 16, 1 << 11, 85};  // a KL of 0.7, 6e-4, 6e-7 and 1e-9 nats

#if INFALIGN_TEST_CUDA
constexpr index_t longest = 1000;
#elif INFALIGN_TEST_GRID_MIXED
constexpr index_t longest = 20'000;
#else
constexpr index_t longest = 300'000;
#endif

}  // namespace

TEST_CASE("the truth in long double is that of 50 digits") {
  for (const test::exact_result& known : test::exact_results) {
    const known_row<double> row(known.row);
    CAPTURE(row.name());
    CHECK(row.rows.is_exact);
    const auto token = static_cast<std::size_t>(known.token), third = row.rows.policy.size() / 3;
    const auto close = [](long double a, long double b) { return std::abs(a - b) <= 1e-15L * std::abs(b); };
    const auto gradient = [&](std::size_t j) { return row.truth.gradient(j, token, test::exact_coefficients); };
    CHECK(close(row.truth.log_prob(token), known.log_prob));
    CHECK(close(row.truth.base_log_prob(token), known.base_log_prob));
    CHECK(close(row.truth.kl, known.kl));
    CHECK(close(row.truth.entropy, known.entropy));
    CHECK(close(gradient(token), known.gradient_of_token));
    CHECK(close(gradient(row.truth.likeliest()), known.gradient_of_likeliest));
    CHECK(close(gradient(third), known.gradient_of_third));
  }
}

TEST_CASE_TEMPLATE("rows whose results are known to 25 digits", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  using bounds = row_bounds<C, T>;
  for (const test::exact_result& known : test::exact_results) {
    if (known.row.columns > longest) continue;
    const known_row<T> row(known.row);
    if (!row.rows.is_exact) continue;
    CAPTURE(row.name());
    row_on_backend<C, T> library(row.rows, known.token);
    const row_statistics s = library.statistics();
    const auto log_prob = static_cast<double>(known.log_prob), base_log_prob = static_cast<double>(known.base_log_prob);
    CHECK(difference(s.log_prob(), known.log_prob) <= bounds::log_prob(log_prob, row.plateau));
    CHECK(difference(s.base_log_prob(), known.base_log_prob) <= bounds::log_prob(base_log_prob, row.plateau));
    CHECK(difference(s.kl, known.kl) <= bounds::kl(static_cast<double>(known.kl), row.plateau, row.far));
    CHECK(difference(s.entropy, known.entropy) <= bounds::entropy(static_cast<double>(known.entropy), row.plateau));
    CHECK(gradient_error<C, T>(row, library.gradient(s, test::exact_coefficients), known.token, test::exact_coefficients) <= 1);
  }
}

TEST_CASE_TEMPLATE("rows from flat to nearly certain, policies from far to close, and any offsets", C,
                   INFALIGN_CONFIGURATIONS) {
  for (const index_t v : {1, 2, 17, 1000})
    for (const double spread : {flat, normal, certain})
      for (const double offset : {0.0, 1e4, 1e15}) {
        if (offset > 1e4 && !std::is_same_v<typename C::value, double>) continue;
        for (const double moved : {0.0, 16.0, 1e4})
          for (const std::int64_t reach : reaches)
            check_types<C>({.columns = v,
                            .spread = spread,
                            .noise = millionth,
                            .reach = reach,
                            .offset = offset,
                            .base_offset = offset + moved});
      }
}

TEST_CASE_TEMPLATE("vocabularies of many chunks", C, INFALIGN_CONFIGURATIONS) {
  if (longest < 50'257) return;
  check_types<C>({.columns = 50'257, .spread = normal, .noise = millionth, .reach = 1 << 11, .base_offset = 16});
  if (row_bounds<C, typename C::value>::lanes == 1) return;  // `scalar`: shorter rows have such chunks too
  for (const double spread : {flat, normal, certain})
    for (const std::int64_t reach : {reaches[0], reaches[3]})
      check_types<C>({.columns = 50'257, .spread = spread, .noise = millionth, .reach = reach});
  check_row<C, typename C::value>({.columns = longest, .spread = normal, .noise = millionth, .reach = 1 << 11});
}

TEST_CASE_TEMPLATE("policies that differ in one token", C, INFALIGN_CONFIGURATIONS) {
  for (const double bump : {1.0, 0x1p-5, 0x1p-10})
    for (const double lift : {0.0, 9.0, 17.0})
      for (const double moved : {0.0, 16.0})
        check_types<C>({.columns = 1000, .spread = normal, .base_offset = moved, .lift = lift, .bump = bump, .lifted = 400});
}

TEST_CASE_TEMPLATE("thousands of equal logits, whose sums round in one direction", C, INFALIGN_CONFIGURATIONS) {
  if (longest < 9000) return;
  for (const double lift : {0.3, 1.7, 4.9, 5.1})
    for (const double bump : {0.3, 1e-4})
      for (const index_t v : {4096, 9000}) check_types<C>({.columns = v, .lift = lift, .bump = bump, .lifted = 7});
}

TEST_CASE_TEMPLATE("masked blocks, and a largest logit in the first chunk or in the last", C, INFALIGN_CONFIGURATIONS) {
  if (longest < 12'289) return;
  for (const std::int64_t reach : reaches) {
    check_types<C>({.columns = 9001, .spread = normal, .noise = millionth, .reach = reach, .masked = 6000});
    for (const index_t place : {3, 12'288})
      check_types<C>({.columns = 12'289, .spread = normal, .noise = millionth, .reach = reach, .lift = 12, .lifted = place});
  }
}

TEST_CASE_TEMPLATE("entropies and KL of policies that are nearly certain", C, INFALIGN_CONFIGURATIONS) {
  for (const double lift : {12.0, 23.5, 40.0})
    for (const double spread : {0.0, flat, 0x1p-17})
      for (const double moved : {0.0, 16.0})
        check_types<C>({.columns = 1000,
                        .spread = spread,
                        .noise = millionth,
                        .reach = 1 << 16,
                        .base_offset = moved,
                        .lift = lift,
                        .lifted = 999});
}

TEST_CASE_TEMPLATE("policies that are nearly certain of a token of a later chunk, and whose bases lie elsewhere", C,
                   INFALIGN_CONFIGURATIONS) {
  if (longest < 12'289) return;
  for (const double lift : {25.0, 30.0, 45.0})
    for (const std::int64_t reach : {reaches[0], reaches[1]})
      for (const double moved : {0.0, 16.0})
        check_types<C>({.columns = 12'289,
                        .spread = normal,
                        .noise = millionth,
                        .reach = reach,
                        .base_offset = moved,
                        .lift = lift,
                        .lifted = 12'288});
}

namespace {

/// Columns `[first, last)` of a row have one value.
struct patch {
  index_t first;
  index_t last;
  double value;
};
template <class T>
void put(std::vector<T>& row, std::initializer_list<patch> patches) {
  for (const patch& p : patches) std::fill(row.begin() + p.first, row.begin() + p.last, static_cast<T>(p.value));
}

template <class C>
void check_kl_of_patches(std::initializer_list<patch> of_both, std::initializer_list<patch> of_base) {
  using T = typename C::value;
  test::row_pair<T> rows({.columns = 9000, .spread = normal, .offset = -290, .base_offset = -290});
  put(rows.policy, of_both);
  put(rows.base, of_both);
  put(rows.base, of_base);
  const test::exact_row truth(rows.policy, rows.base);
  const double kl = row_on_backend<C, T>(rows, 0).statistics().kl;
  CAPTURE(truth.kl);
  CHECK(difference(kl, truth.kl) <= row_bounds<C, T>::kl(static_cast<double>(truth.kl), false, false));
}

}  // namespace

TEST_CASE_TEMPLATE("a base with mass in chunks that are read before the policy has any", C, INFALIGN_CONFIGURATIONS) {
  if (longest < 9000) return;
  // The centre that suits one chunk is far off for the next.
  for (const double low : {-65504.0, -1e4, -746.0, -330.0}) {
    CAPTURE(low);
    for (const double height : {31.0, 33.0, 36.0}) {
      CAPTURE(height);
      check_kl_of_patches<C>({{1355, 1590, 0}, {5785, 5855, 40}}, {{1342, 1429, low}, {1590, 1701, height}});
      check_kl_of_patches<C>({{6155, 7431, 0}, {8431, 8555, 40}}, {{1445, 1686, height}, {6432, 6587, low}});
      check_kl_of_patches<C>({{8500, 8680, 40}}, {{100, 110, height}, {4200, 4300, low}});
    }
  }
}
