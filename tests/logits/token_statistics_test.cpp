// SPDX-License-Identifier: Apache-2.0
#include "infalign/logits/token_statistics.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "logits/loss_by_definition.hpp"
#include "logits/token_batch.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::compute_token_statistics;
using infalign::index_t;
namespace test = infalign::test;

namespace {

/// `actual` is `expected` up to the given relative accuracy, or absolutely for values below 1.
void check_close(double actual, long double expected, double accuracy) {
  const auto rounded = static_cast<double>(expected);
  CHECK(std::abs(actual - rounded) <= accuracy * std::max(1.0, std::abs(rounded)));
}

template <class C>
void check_against_definition(test::token_batch<C> batch) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> loaded(batch);
  compute_token_statistics(on, loaded.with_base(), loaded.statistics());
  const auto log_prob = loaded.log_prob.host(), kl = loaded.kl.host(), entropy = loaded.entropy.host();
  for (index_t t = 0; t < batch.tokens; ++t) {
    CAPTURE(t);
    const auto i = static_cast<std::size_t>(t);
    const test::numbers row = test::wide(batch.row(t), batch.columns);
    const test::numbers base = test::wide(batch.base_row(t), batch.columns);
    check_close(log_prob[i], test::log_softmax(row)[static_cast<std::size_t>(batch.ids[i])], test::accuracy<T>);
    check_close(kl[i], test::kl(row, base), test::accuracy<T>);
    check_close(entropy[i], test::entropy(row), test::accuracy<T>);
  }
  for (const T untouched : loaded.loss.host()) CHECK(untouched == T(-99));
}

}  // namespace

TEST_CASE_TEMPLATE("statistics equal their definitions for vocabularies of every length", C, INFALIGN_CONFIGURATIONS) {
  for (const index_t v : test::small_vocabularies()) {
    CAPTURE(v);
    check_against_definition(test::token_batch<C>(3, v, static_cast<std::uint64_t>(v)));
  }
}

TEST_CASE_TEMPLATE("statistics equal their definitions across chunks", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t v : test::large_vocabularies<C>()) {
    CAPTURE(v);
    test::token_batch<C> batch(3, v, static_cast<std::uint64_t>(v));
    // Rising and falling logits: the maximum moves from chunk to chunk, or stays in the first.
    for (index_t j = 0; j < v; ++j) {
      const T slope = static_cast<T>(30.0 * static_cast<double>(j) / static_cast<double>(v));
      batch.row(0)[j] += slope;
      batch.base_row(0)[j] += slope;
      batch.row(1)[j] -= slope;
    }
    check_against_definition(batch);
  }
}

TEST_CASE_TEMPLATE("equal logits are the uniform distribution", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t v : {1, 2, 31, 1000})
    for (const double level : {0.0, -3.5, 1e4, -1e4}) {
      test::token_batch<C> batch(2, v);
      std::fill(batch.logits.begin(), batch.logits.end(), static_cast<T>(level));
      std::fill(batch.base.begin(), batch.base.end(), static_cast<T>(-2 * level));
      test::loaded_batch<C> loaded(batch);
      compute_token_statistics(on, loaded.with_base(), loaded.statistics());
      const double log_v = std::log(static_cast<double>(v));
      for (std::size_t t = 0; t < 2; ++t) {
        check_close(loaded.log_prob.host()[t], -log_v, test::accuracy<T>);
        check_close(loaded.entropy.host()[t], log_v, test::accuracy<T>);
        check_close(loaded.kl.host()[t], 0, test::accuracy<T>);
      }
    }
}

TEST_CASE_TEMPLATE("adding a constant to the logits changes nothing", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const double offset : {1e4, -1e4}) {
    test::token_batch<C> batch(4, 300);
    // Multiples of 1/64, so that adding the offset is exact.
    for (auto* values : {&batch.logits, &batch.base})
      for (T& l : *values) l = std::round(l * 64) / 64;
    test::loaded_batch<C> plain(batch);
    compute_token_statistics(on, plain.with_base(), plain.statistics());
    for (T& l : batch.logits) l += static_cast<T>(offset);
    test::loaded_batch<C> shifted(batch);
    compute_token_statistics(on, shifted.with_base(), shifted.statistics());
    for (std::size_t t = 0; t < 4; ++t) {
      check_close(shifted.log_prob.host()[t], plain.log_prob.host()[t], test::accuracy<T>);
      check_close(shifted.kl.host()[t], plain.kl.host()[t], test::accuracy<T>);
      check_close(shifted.entropy.host()[t], plain.entropy.host()[t], test::accuracy<T>);
    }
  }
}

TEST_CASE_TEMPLATE("logits far apart", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(2, 20);
  std::fill(batch.logits.begin(), batch.logits.end(), T(-1e4));
  std::fill(batch.base.begin(), batch.base.end(), T(0));
  for (index_t t = 0; t < 2; ++t) batch.row(t)[7] = T(1e4);
  batch.ids = {7, 3};
  test::loaded_batch<C> loaded(batch);
  compute_token_statistics(on, loaded.with_base(), loaded.statistics());
  check_close(loaded.log_prob.host()[0], 0, test::accuracy<T>);
  check_close(loaded.log_prob.host()[1], -2e4, test::accuracy<T>);
  check_close(loaded.kl.host()[0], std::log(20.0), test::accuracy<T>);
  CHECK(loaded.entropy.host()[0] == T(0));
}

TEST_CASE_TEMPLATE("a logit far above the first thousands leaves them their share", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t v = 10'001;
  test::token_batch<C> batch(1, v);
  std::fill(batch.logits.begin(), batch.logits.end(), T(0));
  batch.base = batch.logits;
  batch.row(0)[v - 1] = T(34);
  test::loaded_batch<C> loaded(batch);
  compute_token_statistics(on, loaded.with_base(), loaded.statistics());
  const double rest = 1e4 * std::exp(-34.0), total = 1 + rest;
  const double entropy = std::log1p(rest) + 34 * rest / total;
  CHECK(std::abs(static_cast<double>(loaded.entropy.host()[0]) - entropy) <= 1e-2 * entropy);
  const double kl = std::log(1e4 + 1) - entropy;
  check_close(loaded.kl.host()[0], kl, test::accuracy<T>);
}

TEST_CASE_TEMPLATE("masked tokens take no part", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t v : {3, 17, 40, 9000}) {
    CAPTURE(v);
    test::token_batch<C> batch(3, v);
    for (index_t t = 0; t < 3; ++t)
      for (index_t j = 0; j < v; ++j)
        if (j != batch.ids[static_cast<std::size_t>(t)] && (j % 3 == t || j < v / 2)) batch.row(t)[j] = -infalign::infinity<T>;
    check_against_definition(batch);
    // Masked in the base where the policy is masked: still finite.
    for (std::size_t i = 0; i < batch.logits.size(); ++i)
      if (std::isinf(batch.logits[i]) && i % 2 == 0) batch.base[i] = -infalign::infinity<T>;
    check_against_definition(batch);
  }
}

TEST_CASE_TEMPLATE("a sampled token that is masked has log-probability -inf", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(1, 5);
  batch.ids = {2};
  batch.row(0)[2] = -infalign::infinity<T>;
  test::loaded_batch<C> loaded(batch);
  compute_token_statistics(on, loaded.with_base(), loaded.statistics());
  CHECK(loaded.log_prob.host()[0] == -infalign::infinity<T>);
  check_close(loaded.kl.host()[0], test::kl(test::wide(batch.logits), test::wide(batch.base)), test::accuracy<T>);
}

TEST_CASE_TEMPLATE("the KL is infinite where the policy has mass and the base none", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t v : {4, 33, 20'000})
    for (const index_t place : {index_t{0}, v - 1}) {
      CAPTURE(v);
      test::token_batch<C> batch(2, v);
      batch.base_row(0)[place] = -infalign::infinity<T>;
      test::loaded_batch<C> loaded(batch);
      compute_token_statistics(on, loaded.with_base(), loaded.statistics());
      CHECK(loaded.kl.host()[0] == infalign::infinity<T>);
      CHECK(std::isfinite(loaded.kl.host()[1]));
      CHECK(std::isfinite(loaded.log_prob.host()[0]));
      CHECK(std::isfinite(loaded.entropy.host()[0]));
    }
}

TEST_CASE_TEMPLATE("mass that vanishes beside a later chunk does not spoil the KL", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t v = 20'000;
  test::token_batch<C> batch(1, v);
  for (index_t j = 0; j < v; ++j) batch.row(0)[j] = j < v - 2 ? T(-5000) : T(5000);
  for (index_t j = 0; j < v; ++j) batch.base_row(0)[j] = j < v - 2 ? -infalign::infinity<T> : T(0);
  test::loaded_batch<C> loaded(batch);
  compute_token_statistics(on, loaded.with_base(), loaded.statistics());
  check_close(loaded.kl.host()[0], 0, test::accuracy<T>);
  check_close(loaded.entropy.host()[0], std::log(2.0), test::accuracy<T>);
}

TEST_CASE_TEMPLATE("leading chunks may be masked altogether", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const index_t v = 13'000;
  test::token_batch<C> batch(2, v);
  batch.ids = {12'999, 12'500};
  for (index_t t = 0; t < 2; ++t)
    for (index_t j = 0; j < 9000; ++j) batch.row(t)[j] = -infalign::infinity<T>;
  for (index_t j = 0; j < 9000; ++j) batch.base_row(1)[j] = -infalign::infinity<T>;
  check_against_definition(batch);
}

TEST_CASE_TEMPLATE("NaN stays in its row", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t v : {1, 9, 40, 9000})
    for (const index_t place : {index_t{0}, v / 2, v - 1}) {
      CAPTURE(v);
      CAPTURE(place);
      test::token_batch<C> batch(3, v);
      test::loaded_batch<C> clean(batch);
      compute_token_statistics(on, clean.with_base(), clean.statistics());
      batch.row(1)[place] = test::not_a_number<T>;
      test::loaded_batch<C> loaded(batch);
      compute_token_statistics(on, loaded.with_base(), loaded.statistics());
      for (const auto& [spoilt, whole] :
           {std::pair(loaded.log_prob.host(), clean.log_prob.host()), std::pair(loaded.kl.host(), clean.kl.host()),
            std::pair(loaded.entropy.host(), clean.entropy.host())}) {
        CHECK(std::isnan(spoilt[1]));
        CHECK(spoilt[0] == whole[0]);
        CHECK(spoilt[2] == whole[2]);
      }
      batch.row(1)[place] = 0;
      batch.base_row(1)[place] = test::not_a_number<T>;
      test::loaded_batch<C> base(batch);
      compute_token_statistics(on, base.with_base(), base.statistics());
      CHECK(std::isnan(base.kl.host()[1]));
      CHECK(std::isfinite(base.log_prob.host()[1]));
      CHECK(base.kl.host()[2] == clean.kl.host()[2]);
    }
}

TEST_CASE_TEMPLATE("rows may be strided and unaligned", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t v = 37, stride = 41;
  test::token_batch<C> batch(4, v);
  test::loaded_batch<C> packed(batch);
  compute_token_statistics(on, packed.with_base(), packed.statistics());
  std::vector<T> padded(static_cast<std::size_t>(3 * stride + v), test::not_a_number<T>);
  for (index_t t = 0; t < 4; ++t) std::copy(batch.row(t), batch.row(t) + v, padded.begin() + t * stride);
  typename C::template array<T> strided(padded);
  test::loaded_batch<C> loaded(batch);
  compute_token_statistics(on, test::logits_of<C>{strided.rows(4, v, stride), loaded.base_values.rows(4, v), loaded.ids.span()},
                           loaded.statistics());
  CHECK(test::same_bits(loaded.log_prob.host(), packed.log_prob.host()));
  CHECK(test::same_bits(loaded.kl.host(), packed.kl.host()));
  CHECK(test::same_bits(loaded.entropy.host(), packed.entropy.host()));
}

TEST_CASE_TEMPLATE("what is not wanted is not written, and without a base the KL is 0", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(3, 20);
  test::loaded_batch<C> all(batch), some(batch), none(batch);
  compute_token_statistics(on, all.with_base(), all.statistics());
  auto only_kl = some.statistics();
  only_kl.log_prob = only_kl.entropy = {};
  compute_token_statistics(on, some.with_base(), only_kl);
  CHECK(test::close(some.kl.host(), all.kl.host()));
  CHECK(some.log_prob.host() == std::vector<T>(3, T(-99)));
  CHECK(some.entropy.host() == std::vector<T>(3, T(-99)));
  compute_token_statistics(on, none.without_base(), none.statistics());
  CHECK(test::close(none.log_prob.host(), all.log_prob.host()));
  CHECK(none.kl.host() == std::vector<T>(3, T(0)));
  CHECK_NOTHROW(compute_token_statistics(on, none.with_base(), test::statistics_of<C>{}));
}

TEST_CASE_TEMPLATE("16-bit logits are computed in float", C, INFALIGN_CONFIGURATIONS) {
  if constexpr (std::is_same_v<typename C::value, float>) {
    using space = typename C::backend::memory_space;
    typename C::backend on = C::make_backend();
    const auto check = [&]<class Storage>(Storage) {
      test::token_batch<C> batch(3, 37);
      std::vector<Storage> policy, base;
      for (float& l : batch.logits) policy.emplace_back(l), l = policy.back();
      for (float& l : batch.base) base.emplace_back(l), l = base.back();
      test::loaded_batch<C> wide(batch), narrow(batch);
      compute_token_statistics(on, wide.with_base(), wide.statistics());
      typename C::template array<Storage> stored(policy), stored_base(base);
      compute_token_statistics(
          on, infalign::token_logits<Storage, space>{stored.rows(3, 37), stored_base.rows(3, 37), narrow.ids.span()},
          narrow.statistics());
      CHECK(test::same_bits(wide.log_prob.host(), narrow.log_prob.host()));
      CHECK(test::same_bits(wide.kl.host(), narrow.kl.host()));
      CHECK(test::same_bits(wide.entropy.host(), narrow.entropy.host()));
    };
    check(infalign::bfloat16{});
    check(infalign::half{});
  }
}

TEST_CASE_TEMPLATE("no tokens are an ordinary input", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  for (const index_t v : {0, 7}) {
    test::token_batch<C> batch(0, std::max<index_t>(v, 1));
    batch.columns = v;
    test::loaded_batch<C> loaded(batch);
    CHECK_NOTHROW(compute_token_statistics(on, loaded.with_base(), loaded.statistics()));
    CHECK_NOTHROW(compute_token_statistics(on, loaded.without_base(), loaded.statistics()));
  }
}

TEST_CASE_TEMPLATE("bad batches are named, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(3, 5);
  test::loaded_batch<C> loaded(batch);
  const auto statistics = loaded.statistics();
  const auto shape = [&](const auto& logits, const auto& where) {
    return test::message_of<infalign::shape_error>([&] { compute_token_statistics(on, logits, where); });
  };
  const auto ids_with = [&](std::int32_t id) {
    test::loaded_batch<C> bad(batch);
    bad.ids = typename C::template array<std::int32_t>(std::vector<std::int32_t>{1, id, 2});
    return test::message_of<infalign::domain_error>([&] { compute_token_statistics(on, bad.with_base(), statistics); });
  };
  CHECK(ids_with(5) == "compute_token_statistics: tokens[1] is 5, must be in [0, 4]");
  CHECK(ids_with(-1) == "compute_token_statistics: tokens[1] is -1, must be in [0, 4]");

  auto short_ids = loaded.with_base();
  short_ids.tokens = infalign::token_ids<typename C::backend::memory_space>(loaded.ids.span().data(), 2);
  CHECK(shape(short_ids, statistics) == "compute_token_statistics: tokens has 2 ids, but logits has 3 rows");
  auto narrow_base = loaded.with_base();
  narrow_base.base = loaded.base_values.rows(3, 4);
  CHECK(shape(narrow_base, statistics) == "compute_token_statistics: base is 3 x 4, but logits is 3 x 5");
  auto overlapping = loaded.with_base();
  overlapping.policy = loaded.policy_values.rows(3, 5, 4);
  CHECK(shape(overlapping, statistics) == "compute_token_statistics: logits has stride 4, less than its 5 columns");
  auto no_columns = loaded.without_base();
  no_columns.policy = loaded.policy_values.rows(3, 0);
  CHECK(shape(no_columns, statistics) == "compute_token_statistics: logits has 0 columns, needs at least 1");
  auto short_kl = statistics;
  short_kl.kl = {short_kl.kl.data(), 2};
  CHECK(shape(loaded.with_base(), short_kl) == "compute_token_statistics: statistics.kl has 2 values, but there are 3 tokens");
  for (const auto& values : {loaded.log_prob.host(), loaded.kl.host(), loaded.entropy.host()})
    CHECK(values == std::vector<T>(3, T(-99)));
}
