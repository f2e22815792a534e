// SPDX-License-Identifier: Apache-2.0
#include "infalign/backend/overlap.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "infalign/infalign.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::ragged;
using infalign::rows;
using infalign::span;
namespace test = infalign::test;
namespace detail = infalign::detail;

namespace {

template <class A, class B>
bool overlap(const A& a, const B& b) {
  const bool result = detail::overlap(detail::footprint_of(a), detail::footprint_of(b));
  CHECK(detail::overlap(detail::footprint_of(b), detail::footprint_of(a)) == result);
  return result;
}

template <class Call>
std::string refused(Call&& call) {
  return test::message_of<infalign::shape_error>(call);
}

constexpr index_t huge = index_t{1} << 62;
constexpr index_t most = std::numeric_limits<index_t>::max();

}  // namespace

TEST_CASE("overlap of two blocks of a matrix, by brute force") {
  std::vector<float> memory(200);
  const auto bytes_of = [&](const rows<float>& r) {
    std::vector<bool> covered(memory.size());
    for (index_t i = 0; i < r.size(); ++i)
      for (index_t j = 0; j < r.columns(); ++j) covered[static_cast<std::size_t>(r[i].data() - memory.data() + j)] = true;
    return covered;
  };
  for (index_t begin = 0; begin < 24; ++begin)
    for (const index_t n : {1, 2, 3})
      for (const index_t columns : {0, 1, 2, 5, 7})
        for (const index_t other_n : {1, 2, 4}) {
          const rows<float> a(memory.data() + 20, 3, 3, 7), b(memory.data() + begin, n, columns, 7);
          const rows<float> c(memory.data() + 20, other_n, 3, 3);
          for (const rows<float>& other : {a, c}) {
            const auto x = bytes_of(other), y = bytes_of(b);
            bool shared = false;
            for (std::size_t i = 0; i < x.size(); ++i) shared |= x[i] && y[i];
            // Rows with other strides that interleave are taken to overlap: the answer may be yes too often, never no.
            if (shared || &other == &a || c.size() == 1) CHECK(overlap(other, b) == shared);
          }
        }
}

TEST_CASE("results that overlap what is read are refused, in place is not") {
  infalign::simd on;
  std::vector<double> z(64), v(65), weights(64, 1.0);
  std::iota(z.begin(), z.end(), 0.0);
  std::iota(v.begin(), v.end(), 0.0);
  const rows<const double> references(z.data(), 1, 64), shifted(v.data(), 1, 64);
  const rows<double> over(v.data() + 1, 1, 64), in_place(v.data(), 1, 64), over_references(z.data(), 1, 64);

  CHECK(refused([&] { calibrate(on, references, shifted, over); }) ==
        "calibrate: out overlaps rewards without being the same values");
  CHECK(refused([&] { calibrate(on, references, shifted, over_references); }) == "calibrate: out overlaps references");
  CHECK(refused([&] { calibrate_transform(on, references, shifted, infalign::identity{}, over); }) ==
        "calibrate_transform: out overlaps rewards without being the same values");
  CHECK(refused([&] {
          calibrate_weighted(on, references, rows<const double>(weights.data(), 1, 64), shifted,
                             rows<double>(weights.data(), 1, 64));
        }) == "calibrate_weighted: out overlaps weights");
  CHECK(refused([&] { calibrate_leave_one_out(on, shifted, in_place); }) == "calibrate_leave_one_out: out overlaps rewards");
  CHECK(refused([&] { leave_one_out_advantage(on, shifted, over); }) ==
        "leave_one_out_advantage: out overlaps rewards without being the same values");
  CHECK(refused([&] { group_normalized_advantage(on, shifted, over); }) ==
        "group_normalized_advantage: out overlaps rewards without being the same values");
  CHECK(refused([&] { apply(on, infalign::identity{}, span<const double>(z.data(), 30), span<double>(z.data() + 1, 30)); }) ==
        "apply: out overlaps in without being the same values");
  CHECK(refused([&] {
          procedure_win_rate(on, rows<const double>(z.data(), 2, 4),
                             references.size() ? rows<const double>(v.data(), 2, 4) : references, infalign::best_of(2),
                             span<double>(z.data(), 2));
        }) == "procedure_win_rate: out overlaps policy_rewards");
  CHECK(refused([&] {
          tilted_win_rate(on, rows<const double>(z.data(), 2, 4), infalign::kl_weight(1), infalign::standard{},
                          infalign::standard{}, span<double>(v.data(), 2), span<double>(v.data() + 1, 2));
        }) == "tilted_win_rate: kl overlaps win_rate");

  for (std::size_t i = 0; i < v.size(); ++i) CHECK(v[i] == static_cast<double>(i));
  for (const auto algorithm : {infalign::rank_algorithm::counting, infalign::rank_algorithm::sorting}) {
    std::vector<double> expected(64), same = v;
    calibrate(on, references, shifted, rows<double>(expected.data(), 1, 64), {{}, algorithm});
    calibrate(on, references, rows<const double>(same.data(), 1, 64), rows<double>(same.data(), 1, 64), {{}, algorithm});
    same.pop_back();
    CHECK(same == expected);
  }
}

TEST_CASE("a gradient may replace the logits of either policy, with the same bits") {
  const index_t tokens = 3, columns = 5000;
  const auto policy = test::normal_values<float>(tokens * columns, 1), base = test::normal_values<float>(tokens * columns, 2);
  const std::vector<std::int32_t> ids{1, 4999, 0};
  const std::vector<float> advantages{1, -2, 3};
  const auto check = [&](auto on) {
    const auto gradient_at = [&](int place) {
      std::vector<float> l = policy, b = base, g(l.size());
      std::vector<float>& out = place == 0 ? g : place == 1 ? l : b;
      policy_gradient(on, infalign::reinforce{},
                      infalign::token_logits<float>{rows<const float>(l.data(), tokens, columns),
                                                    rows<const float>(b.data(), tokens, columns), ids},
                      advantages, {.kl = infalign::kl_weight(0.5), .entropy = infalign::entropy_weight(0.1)},
                      infalign::token_statistics<float>{}, rows<float>(out.data(), tokens, columns));
      return out;
    };
    CHECK(gradient_at(1) == gradient_at(0));
    CHECK(gradient_at(2) == gradient_at(0));
  };
  check(infalign::simd());
  check(infalign::scalar());

  infalign::simd on;
  std::vector<float> l = policy, statistic(3);
  const infalign::token_logits<float> batch{
      rows<const float>(l.data(), 2, columns), {}, span<const std::int32_t>(ids.data(), 2)};
  const span<const float> two(advantages.data(), 2);
  const infalign::token_statistics<float> none;
  CHECK(refused([&] {
          policy_gradient(on, infalign::reinforce{}, batch, two, {}, none, rows<float>(l.data() + 1, 2, columns));
        }) == "policy_gradient: gradient overlaps logits without being the same values");
  CHECK(refused([&] {
          infalign::token_statistics<float> twice;
          twice.kl = span<float>(statistic.data(), 2);
          twice.log_prob = span<float>(statistic.data() + 1, 2);
          compute_token_statistics(on, batch, twice);
        }) == "compute_token_statistics: statistics.kl overlaps statistics.log_prob");
  CHECK(refused([&] {
          infalign::token_statistics<float> over;
          over.log_prob = span<float>(l.data(), 2);
          compute_token_statistics(on, batch, over);
        }) == "compute_token_statistics: statistics.log_prob overlaps logits");
  CHECK(l == policy);
}

TEST_CASE("shapes that no memory can have are refused, by an unchecked backend as well") {
  std::vector<double> z{1, 2, 3, 4}, y{1, 2, 3, 4}, o(4, -7.0);
  const auto check = [&](auto on) {
    const auto with = [&](const rows<const double>& references, const rows<const double>& rewards, const rows<double>& out) {
      return refused([&] { calibrate(on, references, rewards, out); });
    };
    const rows<const double> four(y.data(), 1, 4);
    const rows<double> out(o.data(), 1, 4);
    CHECK(with({z.data(), huge, 4}, {y.data(), huge, 4}, {o.data(), huge, 4}) ==
          "calibrate: references has 4611686018427387904 rows, 4 values apart, more than memory can hold");
    CHECK(with({z.data(), 2, most}, {y.data(), 2, 2}, {o.data(), 2, 2}) ==
          "calibrate: references has 2 rows, 9223372036854775807 values apart, more than memory can hold");
    CHECK(with({nullptr, 1, 4}, four, out) == "calibrate: references has 1 rows of 4 values, but its data is null");
    CHECK(with({z.data(), 1, -4}, four, out) == "calibrate: references has 1 rows of -4 values, sizes must not be negative");
    CHECK(refused([&] { apply(on, infalign::identity{}, span<const double>(nullptr, 4), span<double>(o)); }) ==
          "apply: in has 4 values, but its data is null");
    CHECK(refused([&] { (void)summarize(on, span<const double>(z.data(), -3)); }) ==
          "summarize: values has -3 values, a size must not be negative");
    const auto with_offsets = [&](const std::vector<index_t>& offsets) {
      std::vector<index_t> good(offsets.size(), 0);
      if (!good.empty()) good.back() = 4;
      return refused(
          [&] { calibrate(on, ragged<const double>(z, offsets), ragged<const double>(y, good), ragged<double>(o, good)); });
    };
    CHECK(with_offsets({0, most, -2, 4}) ==
          "calibrate: references.offsets[2] is -2, less than the offset before it, 9223372036854775807");
    CHECK(with_offsets({0, 4'000'000}) == "calibrate: references.offsets[1] is 4000000, but there are 4 values");
    CHECK(with_offsets({0, std::numeric_limits<index_t>::min(), 4}) ==
          "calibrate: references.offsets[1] is -9223372036854775808, less than the offset before it, 0");
    CHECK(with_offsets({}) == "calibrate: references has 4 values but no offsets");
    CHECK(o == std::vector<double>(4, -7.0));
  };
  check(infalign::simd());
  check(infalign::simd().unchecked());
  check(infalign::scalar().unchecked());
}

TEST_CASE("an executor that throws leaves the backend as it was") {
  index_t left = 0;
  infalign::simd on([&left](std::size_t tasks, infalign::task_ref task) {
    for (std::size_t i = 0; i < tasks; ++i) {
      if (left-- == 0) throw std::runtime_error("executor");
      task(i);
    }
  });
  const index_t prompts = 400, k = 64;
  const auto z = test::normal_values<float>(prompts * k, 1), y = test::normal_values<float>(prompts * k, 2);
  std::vector<float> expected(y.size()), out(y.size());
  const rows<const float> references(z.data(), prompts, k), rewards(y.data(), prompts, k);
  infalign::simd one;
  const infalign::calibration_options sorting{{}, infalign::rank_algorithm::sorting};
  calibrate(one, references, rewards, rows<float>(expected.data(), prompts, k), sorting);
  int thrown = 0;
  for (index_t limit = 0; thrown == limit; ++limit) {
    left = limit;
    try {
      calibrate(on, references, rewards, rows<float>(out.data(), prompts, k), sorting);
    } catch (const std::runtime_error&) {
      ++thrown;
    }
    left = most;
    calibrate(on, references, rewards, rows<float>(out.data(), prompts, k), sorting);
    CHECK(out == expected);
  }
  CHECK(thrown > 4);
}
