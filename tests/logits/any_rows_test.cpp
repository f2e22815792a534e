// SPDX-License-Identifier: Apache-2.0
#include "infalign/core/any_rows.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "infalign/objective/loss/clipped_surrogate.hpp"
#include "infalign/objective/policy_gradient.hpp"
#include "infalign/objective/sequence_policy_gradient.hpp"
#include "logits/token_batch.hpp"
#include "support/configurations.hpp"

using infalign::any_rows;
using infalign::index_t;
using infalign::rows;
using infalign::rows_at;
using infalign::strided_rows;
namespace test = infalign::test;

namespace {

/// Sequences of 4, 0, 2 and 5 tokens, which are packed in `packed`, and where a padded [B, S, V] tensor holds them: token i of sequence b
/// at position `first[b] + i`.
template <class C>
struct sequences {
  using T = typename C::value;
  using space = typename C::backend::memory_space;
  static constexpr index_t batch = 4, positions = 9, columns = 37;
  static constexpr index_t prompt = 2, window = positions - prompt - 1;  // the slice [:, prompt:-1]
  std::vector<index_t> lengths{4, 0, 2, 5};
  std::vector<index_t> first;  ///< within the window
  test::token_batch<C> packed{11, columns};
  std::vector<T> old = test::normal_values<T>(11, 17);

  explicit sequences(bool pads_left) {
    for (const index_t n : lengths) first.push_back(pads_left ? window - n : 0);
    for (T& o : old) o -= T(3);
  }
  /// A tensor of NaN but for the values of the tokens, whose elements are `row_stride` and `batch_stride` apart.
  std::vector<T> tensor(const std::vector<T>& values, index_t batch_stride, index_t row_stride) const {
    std::vector<T> all(static_cast<std::size_t>((batch - 1) * batch_stride + (positions - 1) * row_stride + columns),
                       test::not_a_number<T>);
    each([&](index_t b, index_t i, index_t t) {
      for (index_t j = 0; j < columns; ++j)
        all[static_cast<std::size_t>(b * batch_stride + (prompt + first[at(b)] + i) * row_stride + j)] =
            values[at(t * columns + j)];
    });
    return all;
  }
  /// One value a token of the window.
  template <class U>
  std::vector<U> padded(const std::vector<U>& values, U padding) const {
    std::vector<U> all(at(batch * window), padding);
    each([&](index_t b, index_t i, index_t t) { all[at(b * window + first[at(b)] + i)] = values[at(t)]; });
    return all;
  }
  template <class Use>
  void each(const Use& use) const {
    index_t t = 0;
    for (index_t b = 0; b < batch; ++b)
      for (index_t i = 0; i < lengths[at(b)]; ++i) use(b, i, t++);
  }
  static std::size_t at(index_t i) { return static_cast<std::size_t>(i); }
};

template <class C>
struct outcome {
  using T = typename C::value;
  std::vector<T> gradient, loss, kl;
};

/// `policy_gradient` and `sequence_policy_gradient` of one batch, whose gradient goes to `gradient`.
template <class C, class Gradient>
void run(typename C::backend& on, bool sequence, const test::logits_of<C>& logits, test::loaded_batch<C>& data,
         typename C::template array<typename C::value>& old, typename C::template array<typename C::value>& mask,
         typename C::template array<index_t>& offsets, typename C::template array<typename C::value>& of_rollouts,
         const Gradient& gradient) {
  const infalign::clipped_surrogate loss(0.2, 0.3);
  const auto of_tokens = infalign::token_data(data.advantages.span(), old.span()).weighted_by(mask.span());
  if (sequence)
    sequence_policy_gradient(on, loss, logits, offsets.span(),
                             infalign::token_data(of_rollouts.span(), old.span()).weighted_by(mask.span()), test::all_weights,
                             data.statistics(), gradient);
  else
    policy_gradient(on, loss, logits, of_tokens, test::all_weights, data.statistics(), gradient);
}

/// What packed rows give, sequence by sequence in a call each or in one.
template <class C>
outcome<C> of_packed(const sequences<C>& s, bool sequence, bool one_call_each) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  outcome<C> all;
  std::vector<std::pair<index_t, index_t>> calls;
  index_t begin = 0;
  std::vector<index_t> offsets{0};
  for (const index_t n : s.lengths) calls.emplace_back(begin, begin + n), offsets.push_back(begin += n);
  if (!one_call_each) calls = {{0, begin}};
  for (std::size_t call = 0; call < calls.size(); ++call) {
    const auto [from, to] = calls[call];
    const index_t n = to - from, v = s.columns;
    test::token_batch<C> part(n, v);
    part.logits.assign(s.packed.logits.begin() + from * v, s.packed.logits.begin() + to * v);
    part.base.assign(s.packed.base.begin() + from * v, s.packed.base.begin() + to * v);
    part.ids.assign(s.packed.ids.begin() + from, s.packed.ids.begin() + to);
    part.advantages.assign(s.packed.advantages.begin() + from, s.packed.advantages.begin() + to);
    test::loaded_batch<C> loaded(part);
    typename C::template array<T> old(std::vector<T>(s.old.begin() + from, s.old.begin() + to)), mask(n, T(1));
    typename C::template array<index_t> of_call(one_call_each ? std::vector<index_t>{0, n} : offsets);
    std::vector<T> advantages{T(1), T(2), T(-1), T(0.5)};
    if (one_call_each) advantages = {advantages[call]};
    typename C::template array<T> of_rollouts(advantages);
    run<C>(on, sequence, loaded.with_base(), loaded, old, mask, of_call, of_rollouts, loaded.gradient());
    for (const auto& [to_all, values] : {std::pair{&all.gradient, loaded.gradient_values.host()},
                                         {&all.loss, loaded.loss.host()},
                                         {&all.kl, loaded.kl.host()}})
      to_all->insert(to_all->end(), values.begin(), values.end());
  }
  return all;
}

/// What slices of padded tensors give, each with strides of its own, with the gradient in place or elsewhere.
template <class C>
outcome<C> of_padded(const sequences<C>& s, bool sequence, bool in_place) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t v = s.columns, tokens = s.batch * s.window;
  test::token_batch<C> shape(tokens, 1);  // room for what goes with tokens
  shape.ids = s.padded(s.packed.ids, std::int32_t{0});
  shape.advantages = s.padded(s.packed.advantages, test::not_a_number<T>);
  test::loaded_batch<C> loaded(shape);
  typename C::template array<T> old(s.padded(s.old, test::not_a_number<T>));
  typename C::template array<T> mask(s.padded(std::vector<T>(s.old.size(), T(1)), T(0)));
  std::vector<index_t> starts;
  for (index_t b = 0; b <= s.batch; ++b) starts.push_back(b * s.window);
  typename C::template array<index_t> offsets(starts);
  typename C::template array<T> of_rollouts(std::vector<T>{T(1), T(2), T(-1), T(0.5)});
  // The policy is [B, S, V], the base [S, B, V] with padded rows, the gradient [B, S, V] with padded rows.
  const index_t policy_batch = s.positions * v, base_row = s.batch * (v + 2), base_batch = v + 2;
  typename C::template array<T> policy(s.tensor(s.packed.logits, policy_batch, v));
  typename C::template array<T> base(s.tensor(s.packed.base, base_batch, base_row));
  const index_t gradient_row = in_place ? v : v + 3, gradient_batch = s.positions * gradient_row;
  typename C::template array<T> elsewhere(s.batch * gradient_batch, T(-99));
  auto& target = in_place ? policy : elsewhere;
  const auto slice = [&](auto* data, index_t batch_stride, index_t row_stride) {
    return strided_rows<typename C::backend::memory_space>(data + s.prompt * row_stride, s.batch, s.window, v, batch_stride,
                                                           row_stride);
  };
  test::logits_of<C> logits{slice(policy.span().data(), policy_batch, v), slice(base.span().data(), base_batch, base_row),
                            loaded.ids.span()};
  run<C>(on, sequence, logits, loaded, old, mask, offsets, of_rollouts,
         slice(target.span().data(), gradient_batch, gradient_row));
  outcome<C> result;
  const auto written = target.host(), loss = loaded.loss.host(), kl = loaded.kl.host();
  std::vector<bool> is_token(sequences<C>::at(s.batch * s.positions));
  s.each([&](index_t b, index_t i, index_t) {
    const index_t p = s.first[s.at(b)] + i;
    is_token[s.at(b * s.positions + s.prompt + p)] = true;
    for (index_t j = 0; j < v; ++j)
      result.gradient.push_back(written[s.at(b * gradient_batch + (s.prompt + p) * gradient_row + j)]);
    result.loss.push_back(loss[s.at(b * s.window + p)]);
    result.kl.push_back(kl[s.at(b * s.window + p)]);
  });
  for (index_t b = 0; b < s.batch; ++b)
    for (index_t p = 0; p < s.positions; ++p) {
      if (is_token[s.at(b * s.positions + p)]) continue;
      const bool in_window = p >= s.prompt && p < s.prompt + s.window;
      const T x = written[s.at(b * gradient_batch + p * gradient_row)];
      CHECK((in_window ? x == T(0) : in_place ? x != x : x == T(-99)));
    }
  return result;
}

/// What rows at offsets give: the tokens alone, in tensors of their own strides.
template <class C>
outcome<C> of_offsets(const sequences<C>& s, bool sequence) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t v = s.columns;
  test::loaded_batch<C> loaded(s.packed);
  std::vector<index_t> in_policy, in_base, starts{0};
  s.each([&](index_t b, index_t i, index_t) {
    in_policy.push_back(b * s.positions * v + (s.prompt + s.first[s.at(b)] + i) * v);
    in_base.push_back(b * (v + 2) + (s.prompt + s.first[s.at(b)] + i) * s.batch * (v + 2));
  });
  for (const index_t n : s.lengths) starts.push_back(starts.back() + n);
  typename C::template array<T> policy(s.tensor(s.packed.logits, s.positions * v, v));
  typename C::template array<T> base(s.tensor(s.packed.base, v + 2, s.batch * (v + 2)));
  typename C::template array<index_t> policy_offsets(in_policy), base_offsets(in_base), offsets(starts);
  typename C::template array<T> old(s.old), mask(11, T(1)), of_rollouts(std::vector<T>{T(1), T(2), T(-1), T(0.5)});
  const auto in_place = rows_at(policy.span(), policy_offsets.span(), v);
  test::logits_of<C> logits{in_place, rows_at(base.span(), base_offsets.span(), v), loaded.ids.span()};
  run<C>(on, sequence, logits, loaded, old, mask, offsets, of_rollouts, in_place);
  outcome<C> result{{}, loaded.loss.host(), loaded.kl.host()};
  const auto written = policy.host();
  for (const index_t offset : in_policy)
    for (index_t j = 0; j < v; ++j) result.gradient.push_back(written[s.at(offset + j)]);
  return result;
}

/// To the bit on a CPU. A GPU gives few rows larger teams, which add up in another order.
template <class C>
bool is_equal(const std::vector<typename C::value>& a, const std::vector<typename C::value>& b) {
  if constexpr (std::is_same_v<typename C::backend::memory_space, infalign::host_memory>) return a == b;
  return test::close(a, b);
}

}  // namespace

TEST_CASE_TEMPLATE("padded, packed, sliced and one call a sequence are equal to the bit", C, INFALIGN_CONFIGURATIONS) {
  for (const bool sequence : {false, true})
    for (const bool pads_left : {false, true}) {
      const sequences<C> s(pads_left);
      const outcome<C> expected = of_packed(s, sequence, true);
      CHECK(expected.gradient.size() == 11 * 37);
      const std::vector<outcome<C>> all{of_packed(s, sequence, false), of_padded(s, sequence, false),
                                        of_padded(s, sequence, true), of_offsets(s, sequence)};
      for (std::size_t layout = 0; layout < all.size(); ++layout) {
        CAPTURE(layout);
        CAPTURE(sequence);
        CAPTURE(pads_left);
        CHECK(is_equal<C>(all[layout].gradient, expected.gradient));
        CHECK(is_equal<C>(all[layout].loss, expected.loss));
        CHECK(is_equal<C>(all[layout].kl, expected.kl));
      }
    }
}

TEST_CASE_TEMPLATE("what is wrong with rows that lie anywhere is named", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::loaded_batch<C> loaded(test::token_batch<C>(3, 5));
  const auto message = [&](const std::vector<index_t>& read, const std::vector<index_t>& written) {
    typename C::template array<index_t> from(read), to(written);
    test::logits_of<C> logits{rows_at(loaded.policy_values.span(), from.span(), 5), {}, loaded.ids.span()};
    return test::message_of<infalign::error>([&] {
      policy_gradient(on, infalign::clipped_surrogate(0.2, 0.2), logits,
                      infalign::token_data(loaded.advantages.span(), loaded.advantages.span()), {}, loaded.statistics(),
                      rows_at(loaded.gradient_values.span(), to.span(), 5));
    });
  };
  CHECK(message({10, 0, 10}, {0, 5, 10}) == "nothing thrown");  // rows may be read in any order, and twice
  CHECK(message({0, -1, 10}, {0, 5, 10}) ==
        "policy_gradient: logits.offsets[1] is -1, but a row of 5 values must end within 15");
  CHECK(message({0, 5, 11}, {0, 5, 10}) ==
        "policy_gradient: logits.offsets[2] is 11, but a row of 5 values must end within 15");
  CHECK(message({0, 5, std::numeric_limits<index_t>::max()}, {0, 5, 10}).find("logits.offsets[2] is 9223372036854775807") !=
        std::string::npos);
  CHECK(message({0, 5, 10}, {0, 4, 10}) ==
        "policy_gradient: gradient.offsets[1] is 4, less than a row behind the offset before it, 0");
  CHECK(message({0, 5, 10}, {10, 5, 0}).find("gradient.offsets[1] is 5, less than a row behind") != std::string::npos);
  CHECK(message({0, 5}, {0, 5}) == "policy_gradient: tokens has 3 ids, but logits has 2 rows");
  // Another order of the same rows is not the same view.
  typename C::template array<index_t> there(std::vector<index_t>{0, 5, 10}), elsewhere(std::vector<index_t>{0, 5, 10});
  test::logits_of<C> logits{rows_at(loaded.policy_values.span(), there.span(), 5), {}, loaded.ids.span()};
  CHECK(test::message_of<infalign::error>([&] {
          policy_gradient(on, infalign::clipped_surrogate(0.2, 0.2), logits,
                          infalign::token_data(loaded.advantages.span(), loaded.advantages.span()), {}, loaded.statistics(),
                          rows_at(loaded.policy_values.span(), elsewhere.span(), 5));
        }) == "policy_gradient: gradient overlaps logits without being the same values");
  T* const data = loaded.policy_values.span().data();
  const auto strided = [&](index_t batch, index_t length, index_t columns, index_t batch_stride, index_t row_stride) {
    return test::message_of<infalign::shape_error>(
        [&] { strided_rows(data, batch, length, columns, batch_stride, row_stride); });
  };
  constexpr index_t huge = index_t{1} << 62;
  CHECK(strided(3, 1, 5, 5, 0) == "nothing thrown");
  CHECK(strided(1, 3, 5, 0, 5) == "nothing thrown");
  CHECK(strided(2, 3, 5, 5, 10) == "nothing thrown");
  CHECK(strided(0, 3, 5, 0, 0) == "nothing thrown");
  CHECK(strided(-1, 3, 5, 15, 5) == "strided_rows: there are -1 x 3 rows of 5 values, sizes must not be negative");
  CHECK(strided(2, 3, 5, 15, 4) == "strided_rows: rows of 5 values lie 4 apart, they must not overlap");
  CHECK(strided(2, 3, 5, 14, 5) == "strided_rows: runs of 15 values lie 14 apart, they must not overlap");
  CHECK(strided(2, 3, 5, 0, 5) == "strided_rows: rows of 5 values lie 0 apart, they must not overlap");
  CHECK(strided(4, 3, 5, huge, 5).find("more than memory can hold") != std::string::npos);
  CHECK(strided(4, 3, 5, 5, huge).find("more than memory can hold") != std::string::npos);
  CHECK(strided(huge, huge, 5, huge, 5).find("more than memory can hold") != std::string::npos);
}

TEST_CASE("rows that lie anywhere: what overlaps is never called apart, by brute force") {
  std::vector<float> memory(400);
  const auto bytes_of = [&](const auto& all) {
    std::vector<bool> covered(memory.size());
    for (index_t i = 0; i < all.size(); ++i)
      for (index_t j = 0; j < all.columns(); ++j) covered[static_cast<std::size_t>(all[i].data() - memory.data() + j)] = true;
    return covered;
  };
  namespace detail = infalign::detail;
  const any_rows<float> a = strided_rows(memory.data() + 40, 3, 2, 4, 50, 7),
                        transposed = strided_rows(memory.data() + 40, 2, 3, 4, 7, 50);
  index_t apart = 0;
  for (index_t begin = 0; begin < 60; ++begin)
    for (const index_t length : {1, 2, 3})
      for (const index_t row : {4, 9})
        for (const any_rows<float>& b :
             {strided_rows(memory.data() + begin, 3, length, 4, 50, row), any_rows<float>(memory.data() + begin, length, 9)})
          for (const any_rows<float>& other : {a, transposed}) {
            const auto x = bytes_of(other), y = bytes_of(b);
            bool shared = false;
            for (std::size_t i = 0; i < x.size(); ++i) shared |= x[i] && y[i];
            const bool found = detail::overlap(detail::footprint_of(other), detail::footprint_of(b));
            CHECK((found || !shared));
            apart += found ? 0 : 1;
          }
  CHECK(apart > 500);  // it says so where it matters
}
