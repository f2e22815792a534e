// SPDX-License-Identifier: Apache-2.0
#include "infalign/objective/aggregation.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::aggregation;
using infalign::aggregation_weights;
using infalign::constant_weights;
using infalign::count_responses;
using infalign::counted_responses;
using infalign::index_t;
using infalign::response_counts;
using infalign::test::message_of;

namespace {

/// Responses of 3, 1, 0 and 2 tokens, padded to 4: on the right, on the left, altogether, with a hole.
template <class T>
std::vector<T> masks() {
  return {T(1), T(1), T(1), T(0), T(0), T(0), T(0), T(1), T(0), T(0), T(0), T(0), T(1), T(0), T(1), T(0)};
}

}  // namespace

TEST_CASE_TEMPLATE("the weights of every aggregation, by its definition", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const std::vector<T> m = masks<T>();
  typename C::template array<T> mask(m);
  typename C::template array<double> out(16, -1.0);
  const response_counts counts = count_responses(on, mask.rows(4, 4));
  CHECK(counts == response_counts{4, 3, 6});
  const double tokens[] = {3, 1, 0, 2};
  const auto check = [&](const auto& weight) {
    const std::vector<double> found = out.host();
    for (std::size_t i = 0; i < 16; ++i) CHECK(found[i] == (m[i] == T(0) ? 0 : weight(i / 4)));
  };
  aggregation_weights(on, mask.rows(4, 4), aggregation::token_mean, counts, out.rows(4, 4));
  check([](std::size_t) { return 1.0 / 6; });
  aggregation_weights(on, mask.rows(4, 4), aggregation::sequence_mean_of_token_sums, counts, out.rows(4, 4));
  check([](std::size_t) { return 1.0 / 3; });
  aggregation_weights(on, mask.rows(4, 4), aggregation::sequence_mean_of_token_means, counts, out.rows(4, 4));
  check([&](std::size_t r) { return 1 / (3 * tokens[r]); });
  aggregation_weights(on, mask.rows(4, 4), aggregation::sequence_mean_of_token_means, counts, out.rows(4, 4),
                      counted_responses::all);
  check([&](std::size_t r) { return 1 / (4 * tokens[r]); });
  constant_weights(on, mask.rows(4, 4), 4 * 10.0, out.rows(4, 4));
  check([](std::size_t) { return 1.0 / 40; });
}

// TRL 5619 and 6024, verl 5625, ms-swift 10116, AReaL 1546: the mean over tokens or responses must not depend on how a batch is cut into micro-batches.
TEST_CASE_TEMPLATE("weights of parts by the counts of the whole are those of the whole", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const std::vector<T> m = masks<T>();
  for (const auto how :
       {aggregation::token_mean, aggregation::sequence_mean_of_token_sums, aggregation::sequence_mean_of_token_means}) {
    typename C::template array<T> mask(m);
    typename C::template array<double> whole_weights(16, -1.0);
    aggregation_weights(on, mask.rows(4, 4), how, count_responses(on, mask.rows(4, 4)), whole_weights.rows(4, 4));
    response_counts whole;
    for (index_t r = 0; r < 4; ++r) {
      typename C::template array<T> part(std::vector<T>(m.begin() + 4 * r, m.begin() + 4 * r + 4));
      whole.merge(count_responses(on, part.rows(1, 4)));
    }
    for (index_t r = 0; r < 4; ++r) {
      typename C::template array<T> part(std::vector<T>(m.begin() + 4 * r, m.begin() + 4 * r + 4));
      typename C::template array<double> weights(4, -1.0);
      aggregation_weights(on, part.rows(1, 4), how, whole, weights.rows(1, 4));
      for (std::size_t i = 0; i < 4; ++i) CHECK(weights.host()[i] == whole_weights.host()[4 * static_cast<std::size_t>(r) + i]);
    }
  }
}

TEST_CASE_TEMPLATE("ragged responses, weights as a mask, no token, no response", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> mask(std::vector<T>{T(1), T(1), T(0.5), T(0.25)}), out(4, T(-1));
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 2, 4});
  const response_counts counts = count_responses(on, mask.ragged(offsets));
  CHECK(counts == response_counts{2, 2, 2.75});
  aggregation_weights(on, mask.ragged(offsets), aggregation::sequence_mean_of_token_means, counts, out.ragged(offsets));
  CHECK(out.host() == std::vector<T>{T(0.25), T(0.25), static_cast<T>(0.5 / 1.5), static_cast<T>(0.25 / 1.5)});
  typename C::template array<T> none(4, T(0));
  aggregation_weights(on, none.rows(2, 2), aggregation::token_mean, count_responses(on, none.rows(2, 2)), out.rows(2, 2));
  CHECK(out.host() == std::vector<T>(4, T(0)));
  CHECK(count_responses(on, none.rows(0, 2)) == response_counts{});
}

TEST_CASE_TEMPLATE("aggregation: bad input", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> out(4, T(-1));
  for (const T bad : {T(-1), std::numeric_limits<T>::quiet_NaN()}) {
    typename C::template array<T> mask(std::vector<T>{T(1), T(1), T(0), bad});
    const auto ends = [](const std::string& text) { return text.ends_with(", must be finite and not negative"); };
    CHECK(ends(message_of<infalign::domain_error>([&] { (void)count_responses(on, mask.rows(2, 2)); })));
    CHECK(message_of<infalign::domain_error>([&] {
            aggregation_weights(on, mask.rows(2, 2), aggregation::token_mean, {2, 2, 3}, out.rows(2, 2));
          }).starts_with("aggregation_weights: mask[1][1] is "));
  }
  typename C::template array<T> mask(4, T(1));
  CHECK(message_of<infalign::shape_error>([&] {
          aggregation_weights(on, mask.rows(2, 2), aggregation::token_mean, {2, 2, 4}, out.rows(1, 4));
        }) == "aggregation_weights: out has 1 groups, but mask has 2");
  CHECK(message_of<infalign::shape_error>([&] {
          aggregation_weights(on, mask.rows(2, 2), aggregation::token_mean, {1, 1, 2}, out.rows(2, 2));
        }) == "aggregation_weights: whole has 1 responses, but mask has 2 of them");
  CHECK(message_of<infalign::domain_error>([&] { constant_weights(on, mask.rows(2, 2), 0, out.rows(2, 2)); }) ==
        "constant_weights: divisor is 0, must be positive and finite");
  CHECK(out.host() == std::vector<T>(4, T(-1)));
}
