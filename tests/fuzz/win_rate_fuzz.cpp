// SPDX-License-Identifier: Apache-2.0
/// \file
/// Win rates under procedures against their definition: over all pairs of subsets, for groups small enough to list them. In rows and in
/// ragged groups, by counting and by sorting, on both backends.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "evaluation/subset_pairs.hpp"
#include "fuzz/input.hpp"
#include "infalign/infalign.hpp"
#include "infalign/procedure/any_procedure.hpp"

namespace infalign::fuzz {
namespace {

constexpr rank_algorithm algorithms[] = {rank_algorithm::automatic, rank_algorithm::counting, rank_algorithm::sorting};
constexpr double untouched = -7;
/// A mean of at most 2^20 products of two shares, each of which is a quotient of binomials.
constexpr double tolerance = 1e-12;

using drawn_procedure = std::variant<standard, best_of, worst_of>;

drawn_procedure procedure_of(input& in) {
  const index_t n = 1 + in.below(5);
  switch (in.below(3)) {
    case 0: return best_of(n);
    case 1: return worst_of(n);
    default: return standard{};
  }
}

template <class T>
T reward(input& in, int kind) {
  switch (kind) {
    case 0: return static_cast<T>(in.below(3));  // many ties
    case 1: return static_cast<T>(in.byte());
    case 2: return std::ldexp(static_cast<T>(in.byte()) - T(128), in.below(120) - 60);
    default: return in.raw<T>();  // NaN and infinities as well
  }
}

template <class T>
struct win_rate_case {
  bool dense;
  group_values<T> policy;
  group_values<T> base;
  drawn_procedure procedure;
  drawn_procedure base_procedure;
  rank_algorithm algorithm;

  explicit win_rate_case(input& in)
      : dense(in.flag()), procedure(procedure_of(in)), base_procedure(procedure_of(in)), algorithm(in.one_of(algorithms)) {
    const int prompts = in.below(4), kind = in.below(4);
    const index_t m = in.below(9), k = in.below(9);
    std::vector<index_t> sizes, base_sizes;
    for (int p = 0; p < prompts; ++p) {
      sizes.push_back(dense ? m : in.below(9));
      base_sizes.push_back(dense ? k : in.below(9));
    }
    policy = group_values<T>::of(sizes, [&] { return reward<T>(in, kind); });
    base = group_values<T>::of(base_sizes, [&] { return reward<T>(in, kind); });
  }
  [[nodiscard]] std::string text() const {
    const auto name = [](const auto& p) { return p.name(); };
    return std::string(dense ? "rows" : "ragged") + ", " + std::visit(name, procedure) + " against " +
           std::visit(name, base_procedure) + ", algorithm " + std::to_string(static_cast<int>(algorithm)) +
           "\n  policy offsets " + text_of(policy.offsets) + " values " + text_of(policy.values) + "\n  base offsets " +
           text_of(base.offsets) + " values " + text_of(base.values);
  }
};

any_procedure erased(const drawn_procedure& procedure) {
  return std::visit([](const auto& p) { return any_procedure(p); }, procedure);
}

/// The win rate of every prompt on backend `B`. Rows are run with the procedures in their own types, ragged groups with erased ones.
template <class B, class T, class Procedure, class BaseProcedure>
void run(const win_rate_case<T>& c, const Procedure& procedure, const BaseProcedure& base_procedure, std::vector<double>& out) {
  B on;
  const auto prompts = static_cast<index_t>(c.policy.size());
  if (c.dense) {
    const rows<const T> y(c.policy.values.data(), prompts, prompts > 0 ? c.policy.size_of(0) : 0);
    const rows<const T> z(c.base.values.data(), prompts, prompts > 0 ? c.base.size_of(0) : 0);
    procedure_win_rate(on, y, z, procedure, base_procedure, out, c.algorithm);
  } else {
    const ragged<const T> y(c.policy.values, c.policy.offsets), z(c.base.values, c.base.offsets);
    procedure_win_rate(on, y, z, erased(c.procedure), erased(c.base_procedure), out, c.algorithm);
  }
}

template <class B, class T>
void check(const win_rate_case<T>& c, bool must_fail, const std::vector<double>& expected) {
  std::vector<double> out(c.policy.size(), untouched);
  const std::string message =
      error_of([&] { std::visit([&](const auto& p, const auto& q) { run<B>(c, p, q, out); }, c.procedure, c.base_procedure); });
  if (message.empty() == must_fail) disagree(must_fail ? "did not fail" : "failed: " + message, "\n", c.text());
  for (std::size_t g = 0; g < out.size(); ++g) {
    if (must_fail && out[g] != untouched) disagree("wrote before it failed\n", c.text());
    if (!must_fail && !(std::abs(out[g] - expected[g]) <= tolerance))
      disagree("win rate of prompt ", g, " is ", out[g], ", over all subsets ", expected[g], "\n", c.text());
  }
}

template <class T>
void run_on_both(input& in) {
  const win_rate_case<T> c(in);
  const auto drawn = [](const auto& p) { return static_cast<index_t>(test::drawn(p)); };
  const bool few = c.policy.size() > 0 && (c.policy.smallest() < std::visit(drawn, c.procedure) ||
                                           c.base.smallest() < std::visit(drawn, c.base_procedure));
  const auto finite = [](T x) { return std::isfinite(x); };
  const bool must_fail = few || !std::all_of(c.policy.values.begin(), c.policy.values.end(), finite) ||
                         !std::all_of(c.base.values.begin(), c.base.values.end(), finite);
  std::vector<double> expected;
  if (!must_fail)
    for (std::size_t g = 0; g < c.policy.size(); ++g)
      expected.push_back(std::visit(
          [&](const auto& p, const auto& q) { return test::win_rate_by_subsets(c.policy.group(g), c.base.group(g), p, q); },
          c.procedure, c.base_procedure));
  check<simd>(c, must_fail, expected);
  check<scalar>(c, must_fail, expected);
}

}  // namespace
}  // namespace infalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  infalign::fuzz::input in(bytes, size);
  if (in.flag())
    infalign::fuzz::run_on_both<double>(in);
  else
    infalign::fuzz::run_on_both<float>(in);
  return 0;
}
