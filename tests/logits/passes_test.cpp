// SPDX-License-Identifier: Apache-2.0
#include "infalign/logits/passes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "infalign/objective/loss/reinforce.hpp"
#include "infalign/objective/policy_gradient.hpp"
#include "logits/token_batch.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::row_coefficients;
using infalign::row_state;
using infalign::row_statistics;
namespace test = infalign::test;

namespace {

constexpr infalign::logit_terms all_terms{.kl = true, .entropy = true};

/// What `policy_gradient` with REINFORCE asks of the second pass.
template <class T>
std::vector<row_coefficients> reinforce_coefficients(const std::vector<T>& advantages) {
  std::vector<row_coefficients> all;
  for (const T a : advantages)
    all.push_back({test::all_weights.scale * static_cast<double>(a), test::all_weights.scale * test::all_weights.kl.value,
                   test::all_weights.scale * test::all_weights.entropy.value});
  return all;
}

}  // namespace

TEST_CASE_TEMPLATE("the two passes apart give the gradient of the fused ones", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  for (const index_t v : {1, 17, 9001}) {
    const test::token_batch<C> batch(5, v);
    test::loaded_batch<C> fused(batch), apart(batch);
    policy_gradient(on, infalign::reinforce{}, fused.with_base(), fused.advantages.span(), test::all_weights,
                    fused.statistics(), fused.gradient());
    typename C::template array<row_state> states(5);
    typename C::template array<row_statistics> statistics(5);
    typename C::template array<row_coefficients> coefficients(reinforce_coefficients(batch.advantages));
    infalign::read_logits(on, apart.with_base(), all_terms, states.span());
    infalign::finish_rows(on, all_terms, states.span(), statistics.span());
    infalign::write_logit_gradient(on, apart.with_base(), statistics.span(), coefficients.span(), apart.gradient());
    CHECK(test::close(apart.gradient_values.host(), fused.gradient_values.host()));
    std::vector<typename C::value> log_prob, kl, entropy;
    for (const row_statistics& s : statistics.host()) {
      log_prob.push_back(static_cast<typename C::value>(s.log_prob()));
      kl.push_back(static_cast<typename C::value>(s.kl));
      entropy.push_back(static_cast<typename C::value>(s.entropy));
    }
    CHECK(test::close(log_prob, fused.log_prob.host()));
    CHECK(test::close(kl, fused.kl.host()));
    CHECK(test::close(entropy, fused.entropy.host()));
  }
}

namespace {

/// Where to cut V columns into parts, none as long as another.
std::vector<index_t> unequal_cuts(index_t v, index_t parts) {
  std::vector<index_t> cuts;
  for (index_t i = 0; i <= parts; ++i) cuts.push_back(v * i * (i + 1) / (parts * (parts + 1)));
  return cuts;
}

/// Relative to the largest, 1e-12 in double.
template <class T>
bool equal_to_rounding(const std::vector<T>& a, const std::vector<T>& b) {
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
    difference = std::max(difference, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return difference <= (sizeof(T) == 8 ? 1e-12 : 1e-5) * largest;
}

/// A batch whose vocabulary is spread over ranks: each reads its part, states are merged, each writes its part.
template <class C>
struct ranks {
  using T = typename C::value;
  using space = typename C::backend::memory_space;
  const test::token_batch<C>& batch;
  infalign::logit_map map;
  std::vector<index_t> cuts;
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> loaded{batch};

  template <class Use>
  void on_rank(std::size_t i, const Use& use) {
    const index_t begin = cuts[i], columns = cuts[i + 1] - begin;
    std::vector<std::int32_t> ids;
    for (const std::int32_t id : batch.ids)
      ids.push_back(id >= begin && id < begin + columns ? static_cast<std::int32_t>(id - begin) : -1);
    typename C::template array<std::int32_t> local(ids);
    const auto part = [&](auto rows) { return decltype(rows)(rows.data() + begin, batch.tokens, columns, batch.columns); };
    test::logits_of<C> logits{part(loaded.policy_values.rows(batch.tokens, batch.columns)),
                              part(loaded.base_values.rows(batch.tokens, batch.columns)), local.span()};
    logits.map = map;
    use(logits, infalign::rows<T, space>(part(loaded.gradient())));
  }
  /// The states of each rank's part of the rows.
  std::vector<std::vector<row_state>> read() {
    std::vector<std::vector<row_state>> all;
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i)
      on_rank(i, [&](const auto& logits, const auto&) {
        typename C::template array<row_state> states(batch.tokens);
        infalign::read_logits(on, logits, all_terms, states.span());
        all.push_back(states.host());
      });
    return all;
  }
  std::vector<row_statistics> write(const std::vector<row_state>& merged) {
    typename C::template array<row_state> states(merged);
    typename C::template array<row_statistics> statistics(batch.tokens);
    typename C::template array<row_coefficients> coefficients(reinforce_coefficients(batch.advantages));
    infalign::finish_rows(on, all_terms, states.span(), statistics.span());
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i)
      on_rank(i, [&](const auto& logits, const auto& gradient) {
        infalign::write_logit_gradient(on, logits, statistics.span(), coefficients.span(), gradient);
      });
    return statistics.host();
  }
};

}  // namespace

TEST_CASE_TEMPLATE("1, 2, 3 and 8 unequal shards of the vocabulary, merged in any order, are the whole", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const index_t tokens = 3, v = 5000;
  const test::token_batch<C> batch(tokens, v);
  for (const infalign::logit_map& map : {infalign::logit_map{}, infalign::logit_map{.scale = 1 / 0.7, .cap = 3}}) {
    typename C::backend on = C::make_backend();
    test::loaded_batch<C> whole(batch);
    auto logits = whole.with_base();
    logits.map = map;
    policy_gradient(on, infalign::reinforce{}, logits, whole.advantages.span(), test::all_weights, whole.statistics(),
                    whole.gradient());
    for (const index_t parts : {1, 2, 3, 8}) {
      ranks<C> r{batch, map, unequal_cuts(v, parts)};
      const auto states = r.read();
      for (const std::size_t first : {std::size_t{0}, states.size() / 2, states.size() - 1}) {
        std::vector<row_state> merged(static_cast<std::size_t>(tokens));
        for (std::size_t i = 0; i < states.size(); ++i)
          for (std::size_t t = 0; t < merged.size(); ++t) {
            // From `first` on, the others joined from either side in turn.
            row_state other = states[(first + i) % states.size()][t];
            if (i % 2 == 1) std::swap(merged[t], other);
            merged[t].merge(other);
          }
        std::vector<T> loss, log_prob, kl, entropy;
        for (const row_statistics& s : r.write(merged)) {
          loss.push_back(static_cast<T>(-static_cast<double>(batch.advantages[loss.size()]) * s.log_prob()));
          log_prob.push_back(static_cast<T>(s.log_prob()));
          kl.push_back(static_cast<T>(s.kl));
          entropy.push_back(static_cast<T>(s.entropy));
        }
        CHECK(equal_to_rounding(r.loaded.gradient_values.host(), whole.gradient_values.host()));
        CHECK(equal_to_rounding(loss, whole.loss.host()));
        CHECK(equal_to_rounding(log_prob, whole.log_prob.host()));
        CHECK(equal_to_rounding(kl, whole.kl.host()));
        CHECK(equal_to_rounding(entropy, whole.entropy.host()));
      }
    }
  }
}

TEST_CASE_TEMPLATE("a KL that was not read is no number", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(3, 5);
  test::loaded_batch<C> loaded(batch);
  typename C::template array<row_state> states(3);
  typename C::template array<row_statistics> statistics(3);
  infalign::read_logits(on, loaded.with_base(), {}, states.span());
  infalign::finish_rows(on, {.kl = true}, states.span(), statistics.span());
  for (const row_statistics& s : statistics.host()) CHECK(std::isnan(s.kl));
}

TEST_CASE_TEMPLATE("what the passes refuse", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  const test::token_batch<C> batch(3, 5);
  test::loaded_batch<C> loaded(batch);
  typename C::template array<row_state> states(3), few(2);
  typename C::template array<row_statistics> statistics(3);
  typename C::template array<row_coefficients> coefficients(3);
  const auto message = [](auto&& call) { return test::message_of<infalign::error>(call); };
  CHECK(message([&] { infalign::read_logits(on, loaded.without_base(), {.kl = true}, states.span()); }) ==
        "read_logits: terms.kl is set, needs base logits");
  CHECK(message([&] { infalign::read_logits(on, loaded.with_base(), {}, few.span()); }) ==
        "read_logits: states has 2 values, but there are 3 tokens");
  CHECK(message([&] { infalign::finish_rows(on, {}, few.span(), statistics.span()); }) ==
        "finish_rows: statistics has 3 values, but there are 2 tokens");
  typename C::template array<std::int32_t> ids(std::vector<std::int32_t>{0, -2, 4});
  auto logits = loaded.with_base();
  logits.tokens = ids.span();
  CHECK(message([&] {
          infalign::write_logit_gradient(on, logits, statistics.span(), coefficients.span(), loaded.gradient());
        }) == "write_logit_gradient: tokens[1] is -2, must be in [-1, 4]");
}
