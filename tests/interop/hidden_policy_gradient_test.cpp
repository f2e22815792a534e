// SPDX-License-Identifier: Apache-2.0
#include "infalign/objective/hidden_policy_gradient.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "infalign/infalign.hpp"
#include "infalign/interop/eigen.hpp"
#include "objective/autograd_reference.hpp"
#include "support/samples.hpp"

using infalign::hidden_gradient;
using infalign::hidden_logits;
using infalign::index_t;
using infalign::rows;
namespace autograd = infalign::test::autograd;
namespace test = infalign::test;

namespace {

template <class T>
std::vector<T> converted(const std::vector<double>& values) {
  return std::vector<T>(values.begin(), values.end());
}

const infalign::objective_weights weights{infalign::kl_weight(autograd::beta), infalign::entropy_weight(autograd::eta),
                                          autograd::scale};

/// The batch of the reference, in `T`, and room for results.
template <class T>
struct problem {
  static constexpr index_t tokens = autograd::tokens, columns = autograd::columns, width = autograd::width;
  std::vector<T> hidden = converted<T>(autograd::hidden), matrix = converted<T>(autograd::matrix);
  std::vector<T> base_hidden = converted<T>(autograd::base_hidden), base_matrix = converted<T>(autograd::base_matrix);
  std::vector<T> advantages = converted<T>(autograd::advantages);
  std::vector<std::int32_t> ids = autograd::ids;
  std::vector<T> by_hidden = std::vector<T>(hidden.size(), T(-99)), by_matrix = std::vector<T>(matrix.size(), T(-99));
  std::vector<T> loss = std::vector<T>(advantages.size(), T(-99)), kl = loss;

  [[nodiscard]] hidden_logits<T> batch() const {
    return {{hidden.data(), tokens, width},
            {matrix.data(), columns, width},
            ids,
            {base_hidden.data(), tokens, width + 1},
            {base_matrix.data(), columns, width + 1},
            {.scale = 1 / autograd::temperature}};
  }
  hidden_gradient<T> gradient() { return {{by_hidden.data(), tokens, width}, {by_matrix.data(), columns, width}}; }
  template <class On>
  void run(On& on, index_t tokens_at_once) {
    hidden_policy_gradient(on, infalign::reinforce{}, batch(), advantages, weights,
                           infalign::token_statistics<T>{loss, {}, kl, {}}, gradient(), infalign::eigen_product{},
                           tokens_at_once);
  }
};

template <class T>
void check_close(const std::vector<T>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  double largest = 0;
  for (const double e : expected) largest = std::max(largest, std::abs(e));
  for (std::size_t i = 0; i < actual.size(); ++i)
    CHECK(std::abs(static_cast<double>(actual[i]) - expected[i]) <= (sizeof(T) == 4 ? 1e-5 : 1e-12) * largest);
}

/// Counts the values of the largest `out` that it was asked for.
struct watched_product {
  index_t* largest;
  template <class T>
  void operator()(const rows<const T>& left, const rows<const T>& right, const rows<T>& out,
                  const infalign::product_form& form) const {
    *largest = std::max(*largest, out.total());
    infalign::eigen_product{}(left, right, out, form);
  }
};

}  // namespace

TEST_CASE_TEMPLATE("gradients by hidden states and by the output matrix equal PyTorch, however it is cut", T, float, double) {
  const auto check = [](auto on) {
    for (const index_t at_once : {0, 1, 2, 3, 5, 100}) {
      problem<T> p;
      p.run(on, at_once);
      check_close(p.by_hidden, autograd::by_hidden);
      check_close(p.by_matrix, autograd::by_matrix);
    }
  };
  check(infalign::scalar());
  check(infalign::simd());
}

TEST_CASE("values are those of logits that are in memory") {
  problem<double> p;
  infalign::simd on;
  p.run(on, 2);
  std::vector<double> logits(static_cast<std::size_t>(p.tokens * p.columns)), base = logits, gradient = logits;
  const infalign::eigen_product product;
  const auto view = [&](std::vector<double>& values) { return rows<double>(values.data(), p.tokens, p.columns); };
  product(p.batch().hidden, p.batch().matrix, view(logits), {.transposes_right = true});
  product(p.batch().base_hidden, p.batch().base_matrix, view(base), {.transposes_right = true});
  std::vector<double> loss(5), kl(5);
  policy_gradient(on, infalign::reinforce{},
                  infalign::token_logits<double>{view(logits), view(base), p.ids}.scaled(1 / autograd::temperature),
                  p.advantages, weights, infalign::token_statistics<double>{loss, {}, kl, {}}, view(gradient));
  check_close(p.loss, loss);
  check_close(p.kl, kl);
}

TEST_CASE("what is known of tokens goes with them from chunk to chunk") {
  infalign::simd on;
  const std::vector<double> old_log_prob{-3.1, -2.5, -4, -3.3, -2.9}, base_log_prob{-3, -2.7, -3.9, -3.5, -3},
      token_weights{1, 0.5, 0, 2, 0.25};
  const auto run = [&](index_t at_once) {
    problem<double> p;
    hidden_policy_gradient(on, with_kl(infalign::clipped_surrogate(0.2, 0.2), {.beta = infalign::kl_weight(0.3)}), p.batch(),
                           infalign::token_data(p.advantages, old_log_prob).with_base(base_log_prob).weighted_by(token_weights),
                           weights, infalign::token_statistics<double>{p.loss, {}, p.kl, {}}, p.gradient(),
                           infalign::eigen_product{}, at_once);
    CHECK(p.loss[2] == 0);
    return p;
  };
  const problem<double> whole = run(5);
  for (const index_t at_once : {1, 2, 3}) {
    const problem<double> p = run(at_once);
    check_close(p.loss, whole.loss);
    check_close(p.by_hidden, whole.by_hidden);
    check_close(p.by_matrix, whole.by_matrix);
  }
}

TEST_CASE("no more than a chunk of logits is in memory") {
  const index_t tokens = 320, columns = 1000, width = 4;
  const auto hidden = test::normal_values<float>(tokens * width, 1), matrix = test::normal_values<float>(columns * width, 2);
  const auto advantages = test::normal_values<float>(tokens, 3);
  const std::vector<std::int32_t> ids(tokens, 7);
  std::vector<float> by_hidden(hidden.size()), by_matrix(matrix.size());
  infalign::simd on;
  for (const bool with_base : {false, true}) {
    index_t largest = 0;
    hidden_logits<float> batch{{hidden.data(), tokens, width}, {matrix.data(), columns, width}, ids};
    if (with_base) batch.base_hidden = batch.hidden, batch.base_matrix = batch.matrix;
    hidden_policy_gradient(on, infalign::reinforce{}, batch, advantages, {}, infalign::token_statistics<float>{},
                           hidden_gradient<float>{{by_hidden.data(), tokens, width}, {by_matrix.data(), columns, width}},
                           watched_product{&largest});
    CHECK((with_base ? 2 : 1) * largest <= tokens * columns / 20);
  }
}

TEST_CASE("without tokens the gradient by the matrix is 0") {
  std::vector<double> matrix(6, 1), by_matrix(6, -99);
  infalign::simd on;
  hidden_policy_gradient(on, infalign::reinforce{}, hidden_logits<double>{{nullptr, 0, 2}, {matrix.data(), 3, 2}, {}},
                         std::vector<double>(), {}, infalign::token_statistics<double>{},
                         hidden_gradient<double>{{nullptr, 0, 2}, {by_matrix.data(), 3, 2}}, infalign::eigen_product{});
  CHECK(by_matrix == std::vector<double>(6, 0));
}

TEST_CASE("what does not fit is refused before anything is written, in any chunk") {
  infalign::simd on;
  const auto message = [&](auto&& change) {
    problem<double> p;
    hidden_logits<double> batch = p.batch();
    hidden_gradient<double> gradient = p.gradient();
    change(p, batch, gradient);
    const std::string said = test::message_of<infalign::error>([&] {
      hidden_policy_gradient(on, infalign::reinforce{}, batch, p.advantages, weights,
                             infalign::token_statistics<double>{p.loss, {}, p.kl, {}}, gradient, infalign::eigen_product{}, 1);
    });
    CHECK(p.by_hidden == std::vector<double>(p.hidden.size(), -99));
    CHECK(p.by_matrix == std::vector<double>(p.matrix.size(), -99));
    return said;
  };
  using P = problem<double>;
  using B = hidden_logits<double>;
  using G = hidden_gradient<double>;
  CHECK(message([](P& p, B&, G&) { p.ids[4] = 37; }) == "hidden_policy_gradient: tokens[4] is 37, must be in [0, 36]");
  CHECK(message([](P& p, B&, G&) { p.advantages[4] = std::nan(""); }) ==
        "hidden_policy_gradient: advantages[4] is nan, must be finite");
  CHECK(message([](P&, B& batch, G&) {
          batch.base_hidden = {batch.base_hidden.data(), 4, 4};
        }) == "hidden_policy_gradient: base_hidden is 4 x 4, must be 5 x 4");
  CHECK(message([](P&, B& batch, G&) { batch.base_hidden = batch.base_matrix = {}; }) ==
        "hidden_policy_gradient: weights.kl is 0.25, needs base logits");
  CHECK(message([](P&, B&, G& gradient) {
          gradient.matrix = {gradient.matrix.data(), 37, 2};
        }) == "hidden_policy_gradient: gradient.matrix is 37 x 2, must be 37 x 3");
  CHECK(message([](P& p, B&, G& gradient) {
          gradient.hidden = {p.hidden.data(), 5, 3};
        }) == "hidden_policy_gradient: gradient.hidden overlaps hidden");
  CHECK(message([](P& p, B&, G& gradient) {
          gradient.hidden = {p.base_hidden.data(), 5, 3};
        }) == "hidden_policy_gradient: gradient.hidden overlaps base_hidden");
  CHECK(message([](P& p, B&, G& gradient) {
          p.advantages.reserve(15);
          gradient.hidden = {p.advantages.data(), 5, 3};
        }) == "hidden_policy_gradient: gradient.hidden overlaps advantages");
}
