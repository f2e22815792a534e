// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every state: merged in trees of every shape it is that of one pass, and its bytes survive a round trip and nothing else.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "infalign/statistics/bytes.hpp"
#include "infalign/statistics/choose_on_curve.hpp"
#include "support/merge_trees.hpp"
#include "support/samples.hpp"

using infalign::betting_sequence;
using infalign::empirical_bernstein_sequence;
using infalign::from_bytes;
using infalign::index_t;
using infalign::mean_covariance;
using infalign::summary;
using infalign::to_bytes;
using infalign::variance_split;
using bytes = std::vector<std::byte>;

namespace {

std::vector<double> numbers(const summary& s) {
  return {static_cast<double>(s.count), s.mean, s.m2};
}
std::vector<double> numbers(const variance_split& s) {
  return {static_cast<double>(s.means.count), s.means.mean, s.between(), s.within(), s.of_sampling(), s.sampling_share()};
}
std::vector<double> numbers(const mean_covariance& s) {
  std::vector<double> all{static_cast<double>(s.count())};
  for (index_t i = 0; i < s.values(); ++i) {
    all.push_back(s.mean(i));
    for (index_t j = 0; j <= i; ++j) all.push_back(s.covariance(i, j));
  }
  return all;
}
template <class Sequence>
std::vector<double> numbers(const Sequence& s) {
  return {static_cast<double>(s.count()), s.interval().low, s.interval().high};
}

/// `state` with one more unit, made of the next random numbers.
struct feeder {
  std::mt19937_64 generator{7};
  double uniform() { return static_cast<double>(generator() >> 11) * 0x1.0p-53; }
  void feed(summary& s) { s.add(100 + uniform()); }
  void feed(variance_split& s) {
    summary samples;
    const double rate = uniform();
    for (int i = 0; i < 1 + static_cast<int>(4 * uniform()); ++i) samples.add(uniform() < rate ? 1 : 0);
    s.add(samples);
  }
  void feed(mean_covariance& s) {
    const std::array<double, 3> unit{uniform(), 10 * uniform(), uniform() - 5};
    s.add(unit);
  }
  template <class Sequence>
  void feed(Sequence& s) {
    s.add(uniform());
  }
};

template <class State>
State empty() {
  if constexpr (std::is_same_v<State, mean_covariance>)
    return mean_covariance(3);
  else
    return State();
}

bytes with(bytes of, std::size_t at, unsigned value) {
  of[at] = static_cast<std::byte>(value);
  return of;
}

/// Puts the right checksum over bytes that were changed on purpose.
bytes signed_again(bytes of) {
  const std::uint32_t crc = infalign::detail::crc32(of.data() + 16, of.size() - 16, infalign::detail::crc32(of.data() + 4, 8));
  for (std::size_t i = 0; i < 4; ++i) of[12 + i] = static_cast<std::byte>(crc >> (8 * i) & 0xFF);
  return of;
}

}  // namespace

TEST_CASE_TEMPLATE("merge trees of every shape are one pass", State, summary, variance_split, mean_covariance,
                   empirical_bernstein_sequence, betting_sequence) {
  constexpr bool one_stream =
      std::is_same_v<State, summary> || std::is_same_v<State, variance_split> || std::is_same_v<State, mean_covariance>;
  std::vector<State> leaves;
  State whole = empty<State>();
  feeder in, again;
  for (const int units : {16, 0, 1, 37, 5}) {
    leaves.push_back(empty<State>());
    for (int i = 0; i < units; ++i) {
      in.feed(leaves.back());
      if (one_stream) again.feed(whole);
    }
    if (!one_stream) whole.merge(leaves.back());  // a sequence's bets begin again in every stream
  }
  const std::vector<double> expected = numbers(whole);
  double largest = 0;
  int trees = 0;
  infalign::test::for_each_merge_tree(leaves, [&](const State& merged) {
    const std::vector<double> found = numbers(merged);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      largest = infalign::test::larger(largest, std::abs(found[i] - expected[i]) / (1 + std::abs(expected[i])));
    ++trees;
  });
  CHECK(largest <= 1e-12);
  CHECK(trees == 2880);
  State unchanged = whole;
  unchanged.merge(empty<State>());
  CHECK(to_bytes(unchanged) == to_bytes(whole));
}

TEST_CASE_TEMPLATE("bytes survive a round trip, and damage, other kinds and newer versions are found", State, summary,
                   variance_split, mean_covariance, empirical_bernstein_sequence, betting_sequence) {
  State state = empty<State>();
  feeder in;
  const auto message = [](const bytes& of) {
    return infalign::test::message_of<infalign::domain_error>([&] { (void)from_bytes<State>(of); });
  };
  for (const int units : {0, 1, 20}) {
    for (int i = 0; i < units; ++i) in.feed(state);
    const bytes sent = to_bytes(state);
    const bool coarse = sent.size() > 500;
    CHECK(to_bytes(from_bytes<State>(sent)) == sent);
    for (std::size_t i = 0; i < sent.size(); i += coarse ? 37u : 1u)  // any bit
      for (const unsigned bit : {1u, 128u})
        CHECK(message(with(sent, i, std::to_integer<unsigned>(sent[i]) ^ bit)).starts_with("from_bytes: "));
    for (std::size_t n = 0; n < sent.size(); n += coarse ? 61u : 1u)
      CHECK(message(bytes(sent.begin(), sent.begin() + static_cast<std::ptrdiff_t>(n))).starts_with("from_bytes: "));
    CHECK(message(signed_again(with(sent, 6, infalign::byte_form<State>::version + 1))).find("has version ") !=
          std::string::npos);
    CHECK(message(signed_again(with(sent, 4, 77))).find("is of kind 77") != std::string::npos);
    CHECK(message(signed_again(with(sent, 16 + 7, 0xFF))).find("from_bytes: ") == 0);  // a sign, an exponent or a length
  }
  static_assert(std::is_same_v<State, mean_covariance> || std::is_trivially_copyable_v<State>);
}

TEST_CASE("the byte form of a summary is the published one") {
  summary s;
  s.add(1);
  s.add(3);
  const unsigned char expected[] = {'i', 'n', 'f', 'S', 1, 0, 1, 0, 24, 0, 0, 0};
  const bytes sent = to_bytes(s);
  REQUIRE(sent.size() == 40);
  for (std::size_t i = 0; i < sizeof expected; ++i) CHECK(std::to_integer<unsigned>(sent[i]) == expected[i]);
  CHECK(std::to_integer<unsigned>(sent[16]) == 2);          // the count, little-endian
  CHECK(std::to_integer<unsigned>(sent[16 + 15]) == 0x40);  // the mean, 2.0
  // zlib.crc32(b"123456789")
  const std::string digits = "123456789";
  CHECK(infalign::detail::crc32(reinterpret_cast<const std::byte*>(digits.data()), digits.size()) == 0xCBF43926u);
}

TEST_CASE("states are as large as is said of them") {
  CHECK(sizeof(summary) == 24);
  CHECK(sizeof(variance_split) == 64);
  CHECK(to_bytes(variance_split()).size() == 16 + 64);
  CHECK(sizeof(empirical_bernstein_sequence) == 72);
  CHECK(to_bytes(empirical_bernstein_sequence()).size() == 16 + 72);
  CHECK(sizeof(betting_sequence) / 1024 == 8);
}

TEST_CASE("means and products of no units are 0, and their numbers fit") {
  mean_covariance two(2);
  two.add(std::array<double, 2>{1, 2});
  const bytes one_unit = to_bytes(two), none = to_bytes(mean_covariance(2));
  const auto message = [](const bytes& of) {
    return infalign::test::message_of<infalign::domain_error>([&] { (void)from_bytes<mean_covariance>(signed_again(of)); });
  };
  CHECK(from_bytes<mean_covariance>(none).values() == 2);
  CHECK(message(with(one_unit, 16, 0)) == "from_bytes: the state is impossible: there are values, but none is counted");
  for (const std::size_t at : {16 + 16, 16 + 24, 16 + 40, 16 + 56})  // a mean or a product: 4.9e-324
    CHECK(message(with(none, at, 1)) == "from_bytes: the state is impossible: there are values, but none is counted");
  // Three means, of which the third was the number of products, and no product behind them.
  bytes fewer(none.begin(), none.begin() + 16 + 40);
  fewer[8] = static_cast<std::byte>(40);
  fewer[16 + 8] = static_cast<std::byte>(3);
  fewer[16 + 32] = static_cast<std::byte>(0);
  fewer.insert(fewer.end(), 8, std::byte{0});
  fewer[8] = static_cast<std::byte>(48);
  CHECK(message(fewer) == "from_bytes: the state is impossible: the number of products is not that of its means");
}

TEST_CASE("what has weight 0 in a combination does not count") {
  mean_covariance state(3);
  state.add(std::array<double, 3>{1, std::numeric_limits<double>::infinity(), 3});
  state.add(std::array<double, 3>{2, 7, 5});
  const infalign::estimate found = state.combined(std::array<double, 3>{1, 0, -1});
  CHECK(found.value == -2.5);  // of 1 - 3 and 2 - 5
  CHECK(std::abs(found.standard_error - 0.5) <= 1e-15);
  CHECK(std::isnan(state.combined(std::array<double, 3>{1, 1, -1}).standard_error));
}

TEST_CASE("the next bet is the published one") {
  infalign::detail::bet_size bet;
  CHECK(bet.mean() == 0.5);
  bet.add(1);  // the mean is then 0.75
  bet.add(0);  // and 0.5
  CHECK(bet.mean() == 0.5);
  CHECK(bet.squares == 0.0625 + 0.25);
  const double variance = (0.25 + 0.3125) / 3;
  CHECK(bet.next() == doctest::Approx(std::sqrt(2 * std::log(40.0) / (variance * 3 * std::log(4.0)))).epsilon(1e-15));
}

TEST_CASE("states of different kinds do not merge") {
  const auto message = [](auto&& call) { return infalign::test::message_of<infalign::error>(call); };
  mean_covariance two(2), three(3);
  two.add(std::array<double, 2>{1, 2});
  three.add(std::array<double, 3>{1, 2, 3});
  CHECK(message([&] { two.merge(three); }) == "mean_covariance::merge: other has 3 values, must have 2");
  empirical_bernstein_sequence a(0.95), b(0.9);
  CHECK(message([&] { a.merge(b); }) == "empirical_bernstein_sequence::merge: other has another level or range");
  betting_sequence c(0.95, {0, 2}), d(0.95);
  CHECK(message([&] { c.merge(d); }) == "betting_sequence::merge: other has another level or range");
  CHECK(message([&] { d.add(1.5); }) == "betting_sequence::add: value is 1.5, must be in [0, 1]");
  CHECK(message([] { empirical_bernstein_sequence(1.0); }) == "empirical_bernstein_sequence: level is 1, must be in (0, 1)");
  CHECK(message([] { betting_sequence(0.9, infalign::quantity_range{}); }) ==
        "betting_sequence: range is -inf … inf, must be finite and not empty");
}

TEST_CASE("the best step of a curve from states of shards is that of all prompts together") {
  std::mt19937_64 generator(3);
  std::normal_distribution<double> normal;
  std::vector<double> curve;
  mean_covariance shards[2] = {mean_covariance(5), mean_covariance(5)};
  for (int p = 0; p < 50; ++p) {
    std::array<double, 5> row{};
    const double common = normal(generator);
    for (int i = 0; i < 5; ++i)
      curve.push_back(row[static_cast<std::size_t>(i)] = common + 0.3 * normal(generator) - 0.1 * (i - 3) * (i - 3));
    shards[p % 2].add(row);
  }
  shards[0].merge(shards[1]);
  const auto together = infalign::choose_on_curve(infalign::rows<const double>(curve.data(), 50, 5));
  const auto merged = infalign::choose_on_curve(shards[0]);
  CHECK(merged.step == together.step);
  CHECK(merged.candidates == together.candidates);
  CHECK(merged.candidates.size() < 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(std::abs(merged.curve[i].value - together.curve[i].value) <= 1e-13);
    CHECK(std::abs(merged.curve[i].standard_error / together.curve[i].standard_error - 1) <= 1e-12);
  }
  CHECK_THROWS_AS(static_cast<void>(infalign::choose_on_curve(mean_covariance(2))), infalign::shape_error);
}
